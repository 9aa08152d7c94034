"""The backtest's page: one HTML file with everything in it, which opens without a network."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from tasks.backtest import html_document
from tasks.backtest.backtest import BacktestResult
from tasks.backtest.charts import COLOURS, MIN_HOLE_MS, figure
from tasks.backtest.paper_charts import trade_traces
from tasks.backtest.paper_section import PaperContent, section
from tasks.configuration import Configuration, edits, registry
from tasks.events import Kind
from tasks.paper import ClosedPosition
from tasks.paper.closed_position import unpack as unpack_position
from tasks.scoring.forward_returns import HORIZONS_S, MAX_AGE_MS, Prices, SignalRow, read_signals
from tasks.scoring.prices import Name, PriceHistory
from tasks.scoring.signal_statistics import ForwardReturns, format_bps, summarize

#: What the prices of a chart are, by the kind of event; else they are of trades.
_PRICES: Mapping[Kind, str] = {
    "depth": "mid price",
    "book_ticker": "mid price",
    "kline": "close of candles",
    "mark_price": "mark price",
}


class ReportContent(NamedTuple):
    """The data shown on the page."""

    files: Sequence[Path]
    configuration: Configuration
    result: BacktestResult
    signals: Sequence[bytes]
    market: PriceHistory
    #: Closed positions of the paper accounts.
    positions: Sequence[bytes] = ()


def write(path: Path, content: ReportContent) -> int:
    """Write the page; return its size in bytes. Raises SettingsError: no plotly, or the file can't be written."""
    return html_document.save(path, html(content))


def html(content: ReportContent) -> str:
    """Return the page. Raises SettingsError when plotly is not installed."""
    library = html_document.plotly()
    signals = read_signals(content.signals)
    pools = content.configuration.pools.values()
    strategies = sorted({registry.carried_name(name) for pool in pools for name in pool.strategies})
    closed = [unpack_position(each) for each in content.positions]
    named = {each.strategy for each in signals} | {each.strategy for each in content.result.paper}
    strategies += sorted({each.strategy for each in signals} - set(strategies))
    coloured = [*strategies, *sorted(named - set(strategies))]
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(coloured)}
    prices = {name: content.market.prices(name) for name in content.market.names}
    charts = "".join(_chart(library, content.market, name, prices[name], signals, closed, colours) for name in prices)
    earned = _earned(library, content, closed, colours)
    names = ", ".join(path.name for path in content.files)
    body = f"""<main><h1>Backtest</h1>
<p class="dim">{escape(names)}: {content.result.events:,} events, {len(signals):,} signals</p>
{earned}<h2>Signals, by strategy</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Signals, by strategy">{_table(strategies, signals, content.market)}</div>
<p class="dim">Returns of the mid price (of the last trade, where there are no books) from the signal on, with the sign
of the action: above zero is right. The price at a moment is the last one received by then; times are those of the
prices. Gross of fees and spread. <b>right</b>: the share above zero; a price that did not move is not right.
<b>counted</b>: the number of signals in these figures; left out are those outside the recorded prices, too near their
end, or with no price for {MAX_AGE_MS // 1000} s before either moment. Signals of the same minutes share their market: a few of them
prove nothing. In the charts, the line breaks where no price came for {MIN_HOLE_MS // 1000} s or longer.</p>
{charts}</main>{_foot(content)}"""
    return html_document.document(library, f"Backtest of {names}", body)


def _chart(
    library: Any,
    market: PriceHistory,
    name: Name,
    prices: Prices,
    signals: Iterable[SignalRow],
    closed: Iterable[ClosedPosition],
    colours: Mapping[str, str],
) -> str:
    mine = [each for each in signals if _name(each) == name]
    positions = [each for each in closed if (each.venue, each.symbol) == name]
    label = _PRICES.get(market.kind(name), "last trade")
    drawn = figure(prices, label, mine, colours)
    drawn["data"] += trade_traces(positions, colours)
    venue, symbol = name
    about = f"{len(mine):,} signals" if mine else "no signals"
    about += f", {len(positions):,} closed positions" if positions else ""
    return (
        f'<h2>{escape(symbol)} <span class="dim">{escape(venue)}, {about}; times are UTC</span></h2>'
        f"{html_document.chart(library, drawn, f'Chart of {symbol}, {venue}')}"
    )


def _earned(library: Any, content: ReportContent, closed: Sequence[ClosedPosition], colours: Mapping[str, str]) -> str:
    ends_ms = [time_ms for each in content.market.kept.values() for time_ms in (each.times_ms[0], each.times_ms[-1])]
    shown = PaperContent(content.result.paper, closed, min(ends_ms, default=0), max(ends_ms, default=0))
    return section(shown, colours, lambda drawn, name: html_document.chart(library, drawn, name))


def _name(signal: SignalRow) -> Name:
    return signal.trigger.venue, signal.symbol


def _table(strategies: Iterable[str], signals: Sequence[SignalRow], market: PriceHistory) -> str:
    over = "".join(
        f'<th class="over" scope="colgroup" colspan="4">after {horizon_s} s, basis points</th>'
        for horizon_s in HORIZONS_S
    )
    names = ("strategy", "signals", "buys", "sells", "median<br>confidence")
    under = "".join(f'<th scope="col">{name}</th>' for name in names)
    under += (
        '<th class="first" scope="col">right</th><th scope="col">mean</th>'
        '<th scope="col">median</th><th scope="col">counted</th>' * len(HORIZONS_S)
    )
    rows = "".join(_row(name, [each for each in signals if each.strategy == name], market) for name in strategies)
    return f'<table><thead><tr><td colspan="5"></td>{over}</tr><tr>{under}</tr></thead><tbody>{rows}</tbody></table>'


def _row(strategy: str, signals: Sequence[SignalRow], market: PriceHistory) -> str:
    found = summarize(signals, market.series)
    confidence = f"{found.confidence.median:.2f}" if found.confidence else "-"
    cells = [f"{found.signals:,}", f"{found.buys:,}", f"{found.sells:,}", confidence]
    returns = "".join(map(_returns, found.returns))
    numbers = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(strategy)}</th>{numbers}{returns}</tr>'


def _returns(found: ForwardReturns | None) -> str:
    if found is None:
        return '<td class="first">-</td><td>-</td><td>-</td><td>0</td>'
    means = f"{_bps(found.mean_bps)}{_bps(found.median_bps)}"
    return f'<td class="first">{found.right:.0%}</td>{means}<td>{found.signals:,}</td>'


def _bps(value: float) -> str:
    text = format_bps(value)
    colour = {"+": "up", "-": "down"}.get(text[0], "dim")
    return f'<td class="{colour}">{text}</td>'


def _foot(content: ReportContent) -> str:
    result = content.result
    left_out = {f"{what} {kind}": n for what in ("skipped", "refused") for kind, n in getattr(result, what).items()}
    facts = {
        "digest": result.digest,
        "files": ", ".join(str(path) for path in content.files),
        "frames": f"{result.frames:,}, of them {result.events:,} events, {result.repeats:,} repeats",
        "left out": ", ".join(f"{name}: {n:,}" for name, n in left_out.items()) or "nothing",
        "strategies that raised": ", ".join(f"{name}: {n:,}" for name, n in result.errors.items()) or "none",
        "time": f"{result.seconds:.1f} s",
        "configuration": content.configuration.version,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    settings = escape("\n".join(edits.shown(content.configuration)))
    return f"<footer><dl>{rows}</dl><details><summary>settings</summary><pre>{settings}</pre></details></footer>"
