"""Rows of a sweep, and the page of one with three strategies."""

from collections.abc import Iterator
from typing import Any

from tasks.sweep.page.content import SweepPage, WalkForwardPage, WalkForwardWindow

TRACEBACK = """Traceback (most recent call last):
  File "boom.py", line 7, in on_event
ZeroDivisionError: division by <b>zero</b>
"""
_HOUR_MS = 3_600_000


def row(strategy: str, profit: float | None, error: str | None = None, **parameters: Any) -> dict[str, Any]:
    """Return the row of a set."""
    figures = {"signals": 9, "positions": 4, "hit_rate": 0.5, "profit": profit, "pnl": profit, "sharpe": None}
    return {"strategy": strategy, "parameters": parameters, **figures, "error": error}


def rows() -> Iterator[dict[str, Any]]:
    """Yield 20 sets of a grid, one of them failed, 40 of a search, and 3 with one parameter."""
    for levels in (5, 10, 20, 50, 100):
        for hold_s in (10, 60):
            for side in ("long", "<b>short</b>"):
                failed = (levels, hold_s, side) == (20, 60, "long")
                profit = None if failed else levels / 10 + hold_s - 30
                yield row("skew", profit, TRACEBACK if failed else None, levels=levels, hold_s=hold_s, side=side)
    for at in range(40):
        extra: dict[str, Any] = {"smoothing": at % 3} if at % 2 else {}
        yield row("momentum", at / 7 - 2, threshold=at / 40, decay=10 ** (at / 10 - 4), **extra)
    yield from (row("single", float(window_s), window_s=window_s) for window_s in (1, 2, 3))


def walk_forward(strategy: str = "skew") -> WalkForwardPage:
    """Return four windows; in one the choice is below the median."""
    windows = [
        WalkForwardWindow(
            strategy, at * _HOUR_MS, (at + 2) * _HOUR_MS, (at + 3) * _HOUR_MS, {"levels": 20},
            in_sample=5.0, out_of_sample=-1.5 if at == 2 else 2.5, median=0.5, rank=18 if at == 2 else 1, sets=20,
            is_below=at == 2,
        )
        for at in range(4)
    ]  # fmt: skip
    equity = [((at + 2) * _HOUR_MS, float(at)) for at in range(5)]
    return WalkForwardPage(windows, {strategy: (1, 4)}, {strategy: equity})


def sweep_page(**changes: Any) -> SweepPage:
    """Return a page's content."""
    return SweepPage("Sweep of 3 strategies", ["monday.jsonl.gz"], "profit", list(rows()))._replace(**changes)
