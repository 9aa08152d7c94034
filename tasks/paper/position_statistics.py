"""Statistics of closed positions: hit rate, profit, drawdown, Sharpe ratio by day. Pure.

Positions are added one by one, so that a reader of the live stream can keep them as well as a backtest.
"""

import math
import statistics
from collections.abc import Iterable

import msgspec

from tasks.paper.closed_position import ClosedPosition

DAY_MS = 86_400_000
#: Markets of cryptocurrencies are open every day.
DAYS_A_YEAR = 365


class PositionStatistics(msgspec.Struct):
    """Statistics of the positions that were added, in quote currency, after fees and funding.

    The order matters to the drawdown alone: add them as they were closed.
    """

    positions: int = 0
    #: Those that left more than nothing.
    wins: int = 0
    pnl: float = 0.0
    #: The two parts of `pnl`, both 0 or more.
    won: float = 0.0
    lost: float = 0.0
    #: The highest that `pnl` ever was, and its deepest fall from there.
    peak: float = 0.0
    deepest: float = 0.0
    #: The profit of each UTC day on which a position was closed; days since 1970.
    by_day: dict[int, float] = {}

    def add(self, closed: ClosedPosition) -> None:
        """Count a position."""
        self.positions += 1
        self.wins += closed.pnl > 0
        self.pnl += closed.pnl
        self.won += max(closed.pnl, 0.0)
        self.lost += max(-closed.pnl, 0.0)
        self.peak = max(self.peak, self.pnl)
        self.deepest = max(self.deepest, self.peak - self.pnl)
        day = closed.closed_ms // DAY_MS
        self.by_day[day] = self.by_day.get(day, 0.0) + closed.pnl

    @property
    def hit_rate(self) -> float | None:
        """The share of positions that won; None: there is no position."""
        return self.wins / self.positions if self.positions else None

    @property
    def average_win(self) -> float | None:
        """Mean profit of those that won; None: none did."""
        return self.won / self.wins if self.wins else None

    @property
    def average_loss(self) -> float | None:
        """Mean profit of those that did not win, 0 or less; None: all won."""
        losses = self.positions - self.wins
        return -self.lost / losses if losses else None

    def fall(self, unrealised: float = 0.0) -> float:
        """Return how far the profit is below its peak now, with what open positions would leave; 0 or more."""
        return max(0.0, self.peak - self.pnl - unrealised)

    def drawdown(self, unrealised: float = 0.0) -> float:
        """Return the deepest fall of the profit from its peak, seen at each closing and now; 0 or more."""
        return max(self.deepest, self.fall(unrealised))

    def sharpe(self, first_day: int | None = None, last_day: int | None = None) -> float | None:
        """Return the yearly Sharpe ratio of the days' profits; None: fewer than two days, or all days alike.

        It is their mean by their standard deviation, times the root of 365. A day without a closed position counts as 0;
        the days are those from the first closing to the last, or more, from `first_day` to `last_day`.
        """
        ends = [*self.by_day, *(day for day in (first_day, last_day) if day is not None)]
        days = [self.by_day.get(day, 0.0) for day in range(min(ends), max(ends) + 1)] if ends else []
        if len(days) < 2:
            return None
        deviation = statistics.stdev(days)
        return statistics.fmean(days) / deviation * math.sqrt(DAYS_A_YEAR) if deviation else None


def summarise(closed: Iterable[ClosedPosition]) -> PositionStatistics:
    """Return the statistics of positions, given in the order of their closing."""
    found = PositionStatistics()
    for each in closed:
        found.add(each)
    return found
