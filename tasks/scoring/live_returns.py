"""Scores signals while the pipeline runs, by the code of the backtest, in bounded memory. Pure.

A signal comes out a moment after its event, and its return begins with the price before that. So of symbols that had a
signal the last prices are kept, and while one waits, all since then. The first signal of a symbol can't be scored.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

import msgspec

from tasks.errors import UNREADABLE
from tasks.events import AnyEvent, Kind, Venue
from tasks.scoring.forward_returns import (
    HORIZONS_S,
    SignalRow,
    StartingPoint,
    change_after,
    direction,
    read_signals,
    starting_point,
)
from tasks.scoring.prices import Name, PriceHistory
from tasks.scoring.signal_statistics import describe
from tasks.scoring.strategy_returns import StrategyReturns

#: Prices of a stream while no signal waits: a signal may come out so many events of the stream after its own.
KEPT = 128
#: Prices of a stream at most. Events come faster than any market's where more come within the longest horizon.
MAX_KEPT = 20_000
#: Symbols at most; the ones that had a signal last.
MAX_SYMBOLS = 2_000
#: Signals that wait at most; then the oldest is given up.
MAX_WAITING = 2_000
#: The returns of so many signals of each strategy are summed up, the last ones.
WINDOW = 1_000
#: Of more strategies than a configuration has, nothing is kept.
MAX_STRATEGIES = 100

_Key = tuple[Venue, str, Kind]


class _Waiting:
    """A signal that has not been scored at every horizon."""

    def __init__(self, signal: SignalRow) -> None:
        self.signal = signal
        self.left = deque(HORIZONS_S)
        #: The stream of its prices, and the price before it there, by its position; None: not looked up yet.
        self.key: _Key | None = None
        self.since = 0
        #: When its event came, and when the next horizon is over, on the clock of its prices, milliseconds.
        self.now_ms = self.due_ms = 0

    @property
    def names(self) -> set[Name]:
        venue = self.signal.trigger.venue
        return {(venue, self.signal.trigger.symbol), (venue, self.signal.symbol)}


class _Scores:
    """The returns of one strategy."""

    def __init__(self) -> None:
        self.by_horizon = {horizon_s: deque[float](maxlen=WINDOW) for horizon_s in HORIZONS_S}
        self.signals = self.scored = 0

    def summary(self, strategy: str) -> StrategyReturns:
        first, second, third = (describe(list(values)) for values in self.by_horizon.values())
        return StrategyReturns(strategy, self.signals, (first, second, third))


class LiveReturns:
    """The returns after signals, from events and signals as they come."""

    def __init__(self) -> None:
        self._history = PriceHistory()
        #: Venues and symbols whose prices are kept; the one that had a signal last is last.
        self._watched: dict[Name, None] = {}
        self._waiting: deque[_Waiting] = deque()
        self._scores: dict[str, _Scores] = {}
        self._found: Sequence[StrategyReturns] = ()
        #: How many signals and returns are in it.
        self._settled = 0

    def observe(self, event: AnyEvent) -> None:
        """Take an event. Called for each, so this is all that is done then."""
        if (event.venue, event.symbol) in self._watched:
            self._history.observe(event)

    def signal(self, packed: bytes) -> None:
        """Take a signal that went out, the contract's JSON. What is none, or neither buys nor sells, is left out."""
        try:
            [signal] = read_signals([packed])
        except UNREADABLE:
            return
        is_known = signal.strategy in self._scores or len(self._scores) < MAX_STRATEGIES
        if direction(signal) and is_known:
            self._scores.setdefault(signal.strategy, _Scores()).signals += 1
            self._waiting.append(waiting := _Waiting(signal))
            for name in waiting.names:
                self._watched.pop(name, None)
                self._watched[name] = None
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()

    @property
    def found(self) -> Sequence[StrategyReturns]:
        """What is known of each strategy that gave a signal, by name; another object when it has changed."""
        return self._found

    def tick(self) -> None:
        """Score what can be, and forget what is not needed; call it about once a second."""
        self._waiting = deque(each for each in self._waiting if not self._is_done(each))
        self._forget()
        settled = sum(scores.signals + scores.scored for scores in self._scores.values())
        if settled != self._settled:
            self._settled = settled
            self._found = [scores.summary(name) for name, scores in sorted(self._scores.items())]

    def restart(self) -> None:
        """Forget all prices: events get other numbers, or come again."""
        self._history = PriceHistory()
        self._waiting.clear()

    def _is_done(self, waiting: _Waiting) -> bool:
        """Score a signal where it can be; return whether nothing is left to wait for."""
        if waiting.key is not None:
            latest = self._history.kept.get(waiting.key)
            if latest and latest.times_ms[-1] <= waiting.due_ms:
                return False
        point = self._looked_up(waiting) if waiting.key is None else self._found_again(waiting, waiting.key)
        if point is None:
            return True
        if waiting.key is None:
            return False
        while waiting.left:
            horizon_ms = waiting.left[0] * 1_000
            # Another price of the very moment may follow.
            if point.prices.times_ms[-1] <= point.now_ms + horizon_ms:
                waiting.due_ms = point.now_ms + horizon_ms
                return False
            self._score(waiting, change_after(point, horizon_ms))
        return True

    def _looked_up(self, waiting: _Waiting) -> StartingPoint | None:
        """Return where the price stood when the signal's event came; None: what is kept can't tell."""
        signal = waiting.signal
        point = starting_point(self._history.series, signal)
        if point is None:
            return None
        venue, symbol, kind = msgspec.structs.astuple(signal.trigger)
        events = self._history.kept[venue, symbol, kind]
        waiting.since = point.prices.positions[point.start]
        # Events before the price, and before the signal's, count too: had they been forgotten, it would be another point.
        if events.times_ms[0] >= signal.event_time_ms or events.positions[0] > waiting.since:
            return None
        # The moment is at the next price at the latest, so it is known when that has come.
        if point.start + 1 < len(point.prices.positions):
            waiting.key, waiting.now_ms = (venue, signal.symbol, point.kind), point.now_ms
        return point

    def _found_again(self, waiting: _Waiting, key: _Key) -> StartingPoint | None:
        """Return the same point among the prices that are kept now; None: it was forgotten."""
        prices = self._history.series(*key)
        if prices is None:
            return None
        start = bisect_left(prices.positions, waiting.since)
        # It is not the last one: the next horizon is over.
        if start + 1 >= len(prices.positions) or prices.positions[start] != waiting.since:
            return None
        return StartingPoint(key[2], prices, start, waiting.now_ms)

    def _score(self, waiting: _Waiting, change: float | None) -> None:
        scores, horizon_s = self._scores[waiting.signal.strategy], waiting.left.popleft()
        if change is not None:
            scores.by_horizon[horizon_s].append(direction(waiting.signal) * change * 1e4)
            scores.scored += 1

    def _forget(self) -> None:
        needs: dict[_Key, int] = {}
        for waiting in self._waiting:
            if waiting.key is not None:
                needs[waiting.key] = min(needs.get(waiting.key, waiting.since), waiting.since)
        if len(self._watched) > MAX_SYMBOLS:
            self._watched = dict.fromkeys(list(self._watched)[-MAX_SYMBOLS:])
            self._history.retain(self._watched)
        for key, series in self._history.kept.items():
            surplus = len(series.times_ms) - KEPT
            if surplus > 0 and key in needs:
                surplus = max(min(surplus, bisect_left(series.positions, needs[key])), len(series.times_ms) - MAX_KEPT)
            if surplus > 0:
                for values in series:
                    del values[:surplus]
