"""The part of the backtest's page that tells what the paper accounts earned: tables that can be sorted, and charts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from tasks.backtest import paper_charts
from tasks.backtest.paper_statistics import AmountFormat, PaperRow, is_nothing
from tasks.paper import ClosedPosition

#: Sorts a table by the column whose head was pressed: numbers from the highest on, names from A on, then the other way.
SORTING = """
for (const button of document.querySelectorAll("table.sortable th button")) button.addEventListener("click", () => {
  const head = button.closest("th"), table = head.closest("table"), at = head.cellIndex, body = table.tBodies[0];
  const first = head.dataset.first, other = first === "descending" ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  for (const each of table.querySelectorAll("th[aria-sort]")) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const value = row => row.cells[at].dataset.value, sign = order === "ascending" ? 1 : -1;
  const compared = (a, b) => first === "ascending" ? a.localeCompare(b) : a - b;
  body.append(...[...body.rows].sort((one, two) => {
    const a = value(one), b = value(two);
    return a === "" || b === "" ? (a === "") - (b === "") : sign * compared(a, b);
  }));
});
"""


class PaperContent(NamedTuple):
    """The data of this part."""

    rows: Sequence[PaperRow]
    closed: Sequence[ClosedPosition]
    #: The first and the last event time of the recordings, unix milliseconds.
    begin_ms: int
    end_ms: int


class _Column(NamedTuple):
    head: str
    #: What to sort by, and how to show it; None: it is an amount of money.
    value: Callable[[PaperRow], float | str | None]
    form: Callable[[Any], str] | None = None
    #: Whether its sign has a colour.
    is_coloured: bool = False


def _share(value: float) -> str:
    return f"{value:.0%}"


_NAMES = (
    _Column("strategy", lambda row: row.strategy, str),
    _Column("venue", lambda row: row.venue, str),
    _Column("symbol", lambda row: row.symbol, str),
)
_FIGURES = (
    _Column("closed", lambda row: row.positions, "{:,}".format),
    _Column("open", lambda row: row.open, "{:,}".format),
    _Column("hit", lambda row: row.hit_rate, _share),
    _Column("pnl", lambda row: row.pnl, is_coloured=True),
    _Column("unrealised", lambda row: row.unrealised if row.open else None, is_coloured=True),
    _Column("fees", lambda row: row.fees),
    _Column("funding", lambda row: row.funding),
    _Column("turnover", lambda row: row.turnover, "{:,.0f}".format),
    _Column("avg win", lambda row: row.average_win),
    _Column("avg loss", lambda row: row.average_loss),
    _Column("drawdown", lambda row: row.max_drawdown),
    _Column("Sharpe", lambda row: row.sharpe, "{:.1f}".format),
    _Column("in market", lambda row: row.exposure, _share),
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


def _table(name: str, rows: Sequence[PaperRow], columns: Sequence[_Column]) -> str:
    heads = "".join(_head(column) for column in columns)
    amount = AmountFormat(rows)
    body = "".join(f"<tr>{''.join(_cell(column, row, amount) for column in columns)}</tr>" for row in rows)
    return (
        f'<div class="scroll bounded" tabindex="0" role="region" aria-label="{name}"><table class="sortable">'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(column: _Column) -> str:
    kind = "ascending" if column in _NAMES else "descending"
    name = ' class="name"' if column in _NAMES else ""
    return f'<th scope="col"{name} data-first="{kind}"><button type="button">{column.head}</button></th>'


def _cell(column: _Column, row: PaperRow, amount: AmountFormat) -> str:
    value = column.value(row)
    form: Callable[[Any], str] = column.form or amount
    text = "-" if value is None else escape(form(value))
    key = "" if value is None else escape(str(value))
    if column is _NAMES[0]:
        return f'<th scope="row" data-value="{key}">{text}</th>'
    kind = ' class="name"' if column in _NAMES else ""
    if column.is_coloured and not is_nothing(text):
        kind = f' class="{"down" if text.startswith("-") else "up"}"'
    return f'<td{kind} data-value="{key}">{text}</td>'
