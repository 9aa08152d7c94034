"""What the paper accounts of a backtest earned, by strategy and symbol. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from tasks.events import AnyEvent
from tasks.paper import ClosedPosition, PositionStatistics, StoredAccount, summarise
from tasks.paper.position_statistics import DAY_MS


class TimeSpan(msgspec.Struct):
    """The first and the last event time, unix milliseconds."""

    first_ms: int
    last_ms: int

    def take(self, time_ms: int) -> None:
        """Widen it where a time lies outside."""
        if time_ms > self.last_ms:
            self.last_ms = time_ms
        elif time_ms < self.first_ms:
            self.first_ms = time_ms


class EventSpans:
    """The span of the event times of each venue and symbol."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        #: By venue and symbol.
        self.kept: dict[tuple[str, str], TimeSpan] = {}

    def observe(self, event: AnyEvent) -> TimeSpan:
        """Take the time of an event in; return the span of its symbol, for the times of later ones."""
        return self._take((event.venue, event.symbol), event.time_ms)

    def add(self, other: "EventSpans") -> None:
        """Add what another process saw."""
        for name, span in other.kept.items():
            self._take(name, span.first_ms)
            self._take(name, span.last_ms)

    def of(self, venue: str, symbol: str) -> TimeSpan | None:
        """Return the span of a symbol; None: it had no event."""
        return self.kept.get((venue, symbol))

    def _take(self, name: tuple[str, str], time_ms: int) -> TimeSpan:
        span = self.kept.setdefault(name, TimeSpan(time_ms, time_ms))
        span.take(time_ms)
        return span


class PaperRow(msgspec.Struct):
    """What a strategy's account earned, of one symbol or of all; values in quote currency, net of fees and funding."""

    strategy: str
    #: None in the row of all symbols.
    venue: str | None
    symbol: str | None
    #: How many are closed, and how many are open.
    positions: int
    open: int
    #: The share of closed ones that won.
    hit_rate: float | None
    #: Of closed positions, and what closing the open ones at the last price would leave.
    pnl: float
    unrealised: float
    #: Open positions count in these three.
    fees: float
    funding: float
    turnover: float
    average_win: float | None
    #: 0 or less.
    average_loss: float | None
    #: The deepest fall of the profit from its peak: of one symbol at every price, of several at closings and at the end.
    max_drawdown: float
    #: A year's, of the days' profits; None with fewer than two days.
    sharpe: float | None
    #: The share of the recording in which a position was held; of several symbols their mean, by length.
    exposure: float | None


class AmountFormat:
    """Writes the amounts of a table, all with as many decimals as its largest needs."""

    def __init__(self, of: Iterable[PaperRow]) -> None:
        """Choose the decimals for these rows: at least 2, and at most 8."""
        amounts = (value for row in of for value in (row.pnl, row.unrealised, row.fees, row.max_drawdown))
        self._decimals = amount_decimals(amounts)

    def __call__(self, amount: float) -> str:
        """Return an amount; what rounds to zero has no sign."""
        return f"{amount:z,.{self._decimals}f}"


def amount_decimals(amounts: Iterable[float]) -> int:
    """Return the decimals, 2 to 8, that show four digits of the largest of these."""
    largest = max(map(abs, amounts), default=0.0)
    return min(8, max(2, 3 - math.floor(math.log10(largest)))) if largest else 2


def is_nothing(text: str) -> bool:
    """Whether a cell of a table is zero or a dash."""
    return not text.strip("-0.,%")


def rows(accounts: Iterable[StoredAccount], closed: Iterable[ClosedPosition], spans: EventSpans) -> list[PaperRow]:
    """Return a row for each strategy, venue and symbol that has an account, and after them one of the strategy."""
    by_name: dict[tuple[str | None, ...], list[ClosedPosition]] = defaultdict(list)
    for each in sorted(closed, key=lambda position: (position.closed_ms, position.id)):
        by_name[each.strategy, each.venue, each.symbol].append(each)
        by_name[each.strategy, None, None].append(each)
    found: list[PaperRow] = []
    for strategy, of_strategy in groupby(accounts, key=lambda account: account.strategy):
        mine = list(of_strategy)
        for name, of_symbol in groupby(mine, key=lambda account: (account.venue, account.symbol)):
            found.append(_row(strategy, name, list(of_symbol), summarise(by_name[strategy, *name]), spans))
        found.append(_row(strategy, (None, None), mine, summarise(by_name[strategy, None, None]), spans))
    return found


def _row(
    strategy: str,
    name: tuple[str | None, str | None],
    accounts: Sequence[StoredAccount],
    statistics: PositionStatistics,
    spans: EventSpans,
) -> PaperRow:
    totals = [each.account.totals for each in accounts]
    positions = [each.account.position for each in accounts if each.account.position is not None]
    unrealised = sum((each.unrealised for each in positions), 0.0)
    return PaperRow(
        strategy,
        *name,
        positions=statistics.positions,
        open=len(positions),
        hit_rate=statistics.hit_rate,
        pnl=statistics.pnl,
        unrealised=unrealised,
        fees=sum(each.fees for each in totals),
        funding=sum(each.funding for each in totals),
        turnover=sum(each.turnover for each in totals),
        average_win=statistics.average_win,
        average_loss=statistics.average_loss,
        # An account has seen every price; how several fell together, only their closings tell.
        max_drawdown=max(statistics.drawdown(unrealised), totals[0].drawdown if len(totals) == 1 else 0.0),
        sharpe=_sharpe(statistics, accounts, spans),
        exposure=_exposure(accounts, spans),
    )


def _sharpe(statistics: PositionStatistics, accounts: Iterable[StoredAccount], spans: EventSpans) -> float | None:
    found = [span for each in accounts if (span := spans.of(each.venue, each.symbol))]
    if not found or not statistics.positions:
        return None
    first_ms, last_ms = min(each.first_ms for each in found), max(each.last_ms for each in found)
    return statistics.sharpe(first_ms // DAY_MS, last_ms // DAY_MS)


def _exposure(accounts: Iterable[StoredAccount], spans: EventSpans) -> float | None:
    held_ms = span_ms = 0
    for each in accounts:
        span, position = spans.of(each.venue, each.symbol), each.account.position
        if span is not None:
            held_ms += each.account.totals.held_ms
            held_ms += max(0, span.last_ms - position.opened_ms) if position else 0
            span_ms += span.last_ms - span.first_ms
    return min(1.0, held_ms / span_ms) if span_ms else None
