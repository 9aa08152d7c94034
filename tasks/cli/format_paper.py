"""What the paper accounts earned, as a table for a person."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from tasks.backtest.paper_statistics import AmountFormat, PaperRow, is_nothing
from tasks.cli import command_line

_NAMES = ("strategy", "venue", "symbol")
#: Of these a narrow terminal loses as many as it must: what says nothing, then the first one first.
_LEFT_OUT = ("turnover", "funding", "avg win", "avg loss", "sharpe", "in market", "fees", "drawdown", "unrealised")
#: Between two columns.
_GAP = 2


class _Column(NamedTuple):
    head: str
    cells: Sequence[Text]

    @property
    def width(self) -> int:
        return max(len(self.head), *(cell.cell_len for cell in self.cells))

    @property
    def says_nothing(self) -> bool:
        return all(is_nothing(cell.plain) for cell in self.cells)


def unfilled_line(unfilled: dict[str, int]) -> str:
    """Return the line about signals that the accounts could not use, or not whole; empty: there are none."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in unfilled.items())
    return f"signals that became no position, or only a part of one: {reasons}" if reasons else ""


def paper_table(rows: Sequence[PaperRow], width: int) -> tuple[Table, list[str]]:
    """Return the table of at least one row, at most `width` wide if that is possible, and the columns that it lacks."""
    columns = _columns(rows)
    silent = {each.head for each in columns if each.says_nothing}
    left_out: list[str] = []
    for head in sorted(_LEFT_OUT, key=lambda head: head not in silent):
        if sum(each.width + _GAP for each in columns) - _GAP <= width:
            break
        columns = [each for each in columns if each.head != head]
        left_out.append(head)
    table = command_line.table(*(each.head for each in columns))
    for column in table.columns[len(_NAMES) :]:
        column.justify = "right"
    for row, cells in zip(rows, zip(*(each.cells for each in columns), strict=True), strict=True):
        table.add_row(*cells, style="bold" if row.symbol is None else "")
    return table, left_out


def _columns(rows: Sequence[PaperRow]) -> list[_Column]:
    amount = AmountFormat(rows)

    def mean(value: float | None) -> str:
        return "-" if value is None else amount(value)

    def column(head: str, cell: Callable[[PaperRow], str | Text]) -> _Column:
        return _Column(head, [Text(text) if isinstance(text := cell(row), str) else text for row in rows])

    return [
        column("strategy", lambda row: row.strategy),
        column("venue", lambda row: row.venue or ""),
        column("symbol", lambda row: row.symbol or "total"),
        column("closed", lambda row: f"{row.positions:,}"),
        column("hit", lambda row: _share(row.hit_rate)),
        column("pnl", lambda row: _signed(amount(row.pnl))),
        column("unrealised", lambda row: _signed(amount(row.unrealised)) if row.open else Text("-")),
        column("fees", lambda row: amount(row.fees)),
        column("funding", lambda row: amount(row.funding)),
        column("turnover", lambda row: f"{row.turnover:,.0f}"),
        column("avg win", lambda row: mean(row.average_win)),
        column("avg loss", lambda row: mean(row.average_loss)),
        column("drawdown", lambda row: amount(row.max_drawdown)),
        column("sharpe", lambda row: "-" if row.sharpe is None else f"{row.sharpe:z.1f}"),
        column("in market", lambda row: _share(row.exposure)),
    ]


def _signed(text: str) -> Text:
    return Text(text, "" if is_nothing(text) else "red" if text.startswith("-") else "green")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
