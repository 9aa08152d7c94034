"""The figures and parameters of a sweep's rows, and how they are written. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tasks.backtest.paper_statistics import amount_decimals
from tasks.sweep.page.content import SweepPage

Row = Mapping[str, Any]
_NO_FIGURES = ("strategy", "parameters", "error")
_SHARES = ("hit_rate", "exposure")
#: In quote currency: written with the same decimals.
_AMOUNTS = ("profit", "pnl", "unrealised", "fees", "funding", "average_win", "average_loss", "max_drawdown")
_SIGNED = ("profit", "pnl", "unrealised")


class FigureColumn(NamedTuple):
    """A column of numbers."""

    name: str
    decimals: int
    #: Whether it is a share of 0 to 1, written as a percentage.
    is_share: bool
    #: Whether its sign has a colour.
    is_signed: bool

    def text(self, value: float | None) -> str:
        """Return a figure as the page shows it; what rounds to zero has no sign."""
        if value is None:
            return "-"
        return f"{value:z,.{self.decimals}%}" if self.is_share else f"{value:z,.{self.decimals}f}"


def figure(row: Row, name: str) -> float | None:
    """Return a figure of a row; None when it has none, or one that is no finite number."""
    value = row.get(name)
    return value if is_number(value) else None


def is_number(value: object) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def figure_columns(page: SweepPage) -> list[FigureColumn]:
    """Return the columns that have a figure in any row: the objective first, then as they come."""
    names = [page.objective, *(name for row in page.rows for name in row if name not in _NO_FIGURES)]
    found = {
        name: [value for row in page.rows if (value := figure(row, name)) is not None] for name in dict.fromkeys(names)
    }
    amounts = amount_decimals(value for name in _AMOUNTS for value in found.get(name, ()))
    return [_column(name, values, amounts) for name, values in found.items() if values]


def _column(name: str, values: Sequence[float], amounts: int) -> FigureColumn:
    if name in _AMOUNTS:
        return FigureColumn(name, amounts, is_share=False, is_signed=name in _SIGNED)
    if name in _SHARES:
        return FigureColumn(name, 1, is_share=True, is_signed=False)
    is_whole = name == "turnover" or all(isinstance(value, int) for value in values)
    decimals = 0 if is_whole else 2 if name == "sharpe" else amount_decimals(values)
    return FigureColumn(name, decimals, is_share=False, is_signed=False)


def best(page: SweepPage, rows: Sequence[Row]) -> Row | None:
    """Return the row with the best objective, of equal ones the first; None when none has one."""
    sign = -1 if page.is_lowest_best else 1
    scored = [
        (value, row) for row in rows if not row.get("error") and (value := figure(row, page.objective)) is not None
    ]
    return max(scored, key=lambda each: sign * each[0])[1] if scored else None


def value_text(value: object) -> str:
    """Return a parameter's value as the page shows it, exactly: text as it is, else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def set_text(parameters: Mapping[str, Any] | None) -> str:
    """Return a parameter set in one line."""
    if parameters is None:
        return "none"
    return ", ".join(f"{name}={value_text(value)}" for name, value in parameters.items()) or "as in the strategies file"


def last_line(traceback: str) -> str:
    """Return the last line of a traceback, which names the error."""
    return traceback.strip().rpartition("\n")[2].strip() or "unknown error"
