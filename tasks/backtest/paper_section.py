"""The part of the backtest's page that tells what the paper accounts earned: tables that can be sorted, and charts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tasks.backtest import paper_charts
from tasks.backtest.html_table import Column, share, table
from tasks.backtest.paper_statistics import AmountFormat, PaperRow
from tasks.paper import ClosedPosition


class PaperContent(NamedTuple):
    """The data of this part."""

    rows: Sequence[PaperRow]
    closed: Sequence[ClosedPosition]
    #: The first and the last event time of the recordings, unix milliseconds.
    begin_ms: int
    end_ms: int


_NAMES = (
    Column[PaperRow]("strategy", lambda row: row.strategy, str, is_name=True),
    Column[PaperRow]("venue", lambda row: row.venue, str, is_name=True),
    Column[PaperRow]("symbol", lambda row: row.symbol, str, is_name=True),
)
_FIGURES = (
    Column[PaperRow]("closed", lambda row: row.positions, "{:,}".format),
    Column[PaperRow]("open", lambda row: row.open, "{:,}".format),
    Column[PaperRow]("hit", lambda row: row.hit_rate, share),
    Column[PaperRow]("pnl", lambda row: row.pnl, is_coloured=True),
    Column[PaperRow]("unrealised", lambda row: row.unrealised if row.open else None, is_coloured=True),
    Column[PaperRow]("fees", lambda row: row.fees),
    Column[PaperRow]("funding", lambda row: row.funding),
    Column[PaperRow]("turnover", lambda row: row.turnover, "{:,.0f}".format),
    Column[PaperRow]("avg win", lambda row: row.average_win),
    Column[PaperRow]("avg loss", lambda row: row.average_loss),
    Column[PaperRow]("drawdown", lambda row: row.max_drawdown),
    Column[PaperRow]("Sharpe", lambda row: row.sharpe, "{:z.1f}".format),
    Column[PaperRow]("in market", lambda row: row.exposure, share),
)
_NOTE = """<p class="dim">From paper accounts, in quote currency, after fees and funding. <b>pnl</b>: of closed positions.
<b>unrealised</b>: what closing the open ones at the last price would leave, before the fee of that. <b>drawdown</b>: the
deepest fall of the profit from its peak, seen at each closing, and at the end with the open positions. <b>Sharpe</b>: of
the UTC days' profits, for a year; none with fewer than two days. <b>in market</b>: the share of the recording in which a
position was held. A few positions prove nothing, and an account can't know its place in the queue nor its impact.</p>"""


def section(content: PaperContent, colours: Mapping[str, str], draw: Callable[[Mapping[str, Any], str], str]) -> str:
    """Return the part; empty without accounts. `draw` makes a chart of a figure and its name."""
    if not content.rows:
        return ""
    totals = [row for row in content.rows if row.symbol is None]
    of_symbols = [row for row in content.rows if row.symbol is not None]
    charts = ""
    if content.closed:
        charts = (
            f'<h2>Profit and drawdown <span class="dim">at each closing, and at the end with the open positions</span></h2>'
            f"{draw(paper_charts.equity_figure(_curves(totals, content), colours), 'Profit and drawdown')}"
            f'<h2>Returns of closed positions <span class="dim">after fees and funding</span></h2>'
            f"{draw(paper_charts.returns_figure(_returns(content.closed), colours), 'Returns of closed positions')}"
        )
    return (
        f"<h2>Earned, by strategy</h2>{_table('Earned, by strategy', totals, (_NAMES[0], *_FIGURES))}{_NOTE}{charts}"
        f"<h2>Earned, by symbol</h2>{_table('Earned, by symbol', of_symbols, (*_NAMES, *_FIGURES))}"
    )


def _curves(totals: Iterable[PaperRow], content: PaperContent) -> dict[str, list[paper_charts.EquityPoint]]:
    ordered = sorted(content.closed, key=lambda each: (each.closed_ms, each.id))
    return {
        row.strategy: paper_charts.equity(
            (each for each in ordered if each.strategy == row.strategy),
            content.begin_ms,
            content.end_ms,
            row.unrealised,
        )
        for row in totals
    }


def _returns(closed: Iterable[ClosedPosition]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each in sorted(closed, key=lambda each: each.strategy):
        found.setdefault(each.strategy, []).append(each.return_bps)
    return found


def _table(name: str, rows: Sequence[PaperRow], columns: Sequence[Column[PaperRow]]) -> str:
    return table(name, rows, columns, AmountFormat(rows))
