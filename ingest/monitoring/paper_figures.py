"""What the paper accounts have earned, by strategy, and what they hold: figures for metrics and the page. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest

import msgspec

from tasks.paper.open_row import OpenRow, open_row
from tasks.paper.position_statistics import PositionStatistics
from tasks.paper.state import OpenPosition
from tasks.paper.stored_accounts import StoredAccount

#: Of the open positions; the ones that were opened last.
MAX_POSITIONS = 100


class StrategyFigures(msgspec.Struct, frozen=True):
    """What the accounts of one strategy have earned, in quote currency, after fees and funding."""

    strategy: str
    #: Closed positions, and open ones.
    positions: int
    open: int
    #: Of closed positions, and what closing the open ones at the last price would leave, before the fee of that.
    realised: float
    unrealised: float
    #: How far the two together are below the highest that closed positions ever came to; 0 or more.
    drawdown: float
    #: The share of closed positions that won; None: none is closed.
    hit_rate: float | None

    @property
    def pnl(self) -> float:
        """Realised and unrealised profit."""
        return self.realised + self.unrealised


class PaperFigures(msgspec.Struct, frozen=True):
    """The figures of all accounts."""

    strategies: Sequence[StrategyFigures]
    #: Newest first, at most MAX_POSITIONS, and how many there are.
    positions: Sequence[OpenRow]
    open: int


class OpenPositions:
    """The open positions of accounts, which are added page by page."""

    def __init__(self) -> None:
        #: Every strategy that has an account: what its open positions would leave, and how many there are.
        self.unrealised: dict[str, float] = defaultdict(float)
        self.count: dict[str, int] = defaultdict(int)
        #: The newest, at most MAX_POSITIONS, each with its account.
        self.newest: list[tuple[StoredAccount, OpenPosition]] = []

    def add(self, accounts: Iterable[StoredAccount]) -> None:
        """Add accounts, each once."""
        opened = []
        for each in accounts:
            held = each.account.position
            self.unrealised[each.strategy] += held.unrealised if held else 0.0
            if held:
                self.count[each.strategy] += 1
                opened.append((each, held))
        self._keep(opened)

    @classmethod
    def sum_of(cls, parts: Iterable["OpenPositions"]) -> "OpenPositions":
        """Return those of several ledgers together."""
        held = cls()
        for part in parts:
            for strategy, unrealised in part.unrealised.items():
                held.unrealised[strategy] += unrealised
            for strategy, count in part.count.items():
                held.count[strategy] += count
            held._keep(part.newest)
        return held

    def _keep(self, found: Iterable[tuple[StoredAccount, OpenPosition]]) -> None:
        self.newest = nlargest(MAX_POSITIONS, [*self.newest, *found], key=lambda each: each[1].opened_ms)

    @property
    def rows(self) -> list[OpenRow]:
        """The newest, at most MAX_POSITIONS."""
        return [open_row(each, held) for each, held in self.newest]


def figures(closed: Mapping[str, PositionStatistics], held: OpenPositions) -> PaperFigures:
    """Return the figures, from the statistics of closed positions by strategy and from the open ones."""
    strategies = [
        _of_strategy(name, closed.get(name) or PositionStatistics(), held)
        for name in sorted({*closed, *held.unrealised})
    ]
    return PaperFigures(strategies, held.rows, sum(held.count.values()))


def _of_strategy(name: str, closed: PositionStatistics, held: OpenPositions) -> StrategyFigures:
    unrealised = held.unrealised.get(name, 0.0)
    counts = closed.positions, held.count.get(name, 0)
    return StrategyFigures(name, *counts, closed.pnl, unrealised, closed.fall(unrealised), closed.hit_rate)
