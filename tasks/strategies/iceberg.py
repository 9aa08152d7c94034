"""Follow hidden orders: a best price that refills again and again, or holds while it is attacked (book depth)."""

from collections.abc import Iterable, Mapping
from itertools import islice
from math import sqrt
from typing import Annotated, NamedTuple

import msgspec
from pydantic import Field

from tasks.events import AnyEvent, Depth
from tasks.strategy import Action, Params, Signal, State, Strategy

BUY: Action = "buy"
SELL: Action = "sell"
#: With more refills the confidence no longer grows.
_MOST_REFILLS = 8
#: How often all levels are checked for whether they can be forgotten, in event time.
_SWEEP_MS = 1_000


class IcebergParams(Params):
    """Criteria of a refill and of a steady quantity."""

    min_signal_interval_s: Annotated[
        float,
        Field(ge=0, le=86_400, description="Event time between two signals of one symbol and action, in seconds."),
    ] = 0.0
    level_interval_s: Annotated[
        float, Field(ge=0, le=86_400, description="Event time between two signals of one level, in seconds.")
    ] = 120.0
    window_s: Annotated[float, Field(gt=0, le=3_600, description="Refills older than this are forgotten.")] = 300.0
    refill_s: Annotated[float, Field(gt=0, le=60, description="A refill comes within this of the fall.")] = 5.0
    refills: Annotated[int, Field(ge=1, le=5, description="Refills for a signal.")] = 3
    steady_s: Annotated[float, Field(gt=0, le=3_600, description="Steady time for a signal, in seconds.")] = 120.0
    variation: Annotated[
        float, Field(gt=0, lt=1, description="Standard deviation over mean below which a quantity is steady.")
    ] = 0.1
    max_distance: Annotated[
        float, Field(gt=0, lt=1, description="Levels farther from mid than this fraction give no signal.")
    ] = 0.01
    levels: Annotated[int, Field(ge=1, le=200, description="Levels remembered of each side.")] = 200


class Level(msgspec.Struct, array_like=True, gc=False):
    """A price that was the best of its side. It can't be part of a reference cycle, so `gc` is off."""

    #: Event time of the last book that showed it, unix milliseconds.
    seen_ms: int
    #: Its highest quantity since it last fell or refilled, base units; falls and refills are measured against it.
    full: float
    #: Since when its quantity has been steady, or has been 0, unix milliseconds.
    steady_ms: int
    #: Books since then, the mean of their quantities, and the sum of squares about it.
    books: int
    mean: float
    squares: float = 0.0
    #: Whether it was the best price in that time.
    attacked: bool = True
    #: When it fell below half of full, unix milliseconds; 0 when it did not.
    fell_ms: int = 0
    #: Times of its last refills, oldest first, unix milliseconds.
    refills_ms: tuple[int, ...] = ()
    #: When it last gave a signal, unix milliseconds; 0 before.
    said_ms: int = 0


class BookSide(msgspec.Struct):
    """The levels of one side, the one seen longest ago first."""

    levels: dict[float, Level] = msgspec.field(default_factory=dict)
    #: How many of them, counted from the end, the last book showed.
    shown: int = 0
    #: The best price of the last book; 0 before the first.
    best: float = 0.0


class IcebergState(State):
    """Both sides: at most 400 levels, 58 KiB packed, because every level has a history; recorded ones take 10 KiB."""

    bids: BookSide = msgspec.field(default_factory=BookSide)
    asks: BookSide = msgspec.field(default_factory=BookSide)
    time_ms: int = 0


class LevelFinding(NamedTuple):
    """The evidence of one level in one book."""

    confidence: float
    #: Price units from mid; the nearer of two equals wins.
    distance: float
    action: Action
    price: float
    level: Level
    rationale: str


class Iceberg(Strategy[IcebergParams, IcebergState]):
    """Watch the price levels that have been the best of their side, as long as they are within 1 % of mid.

    Two things at such a level give a signal:

    * Refills: at the best price, the quantity falls below half of its highest and is back above 80 % of it within 5 s.
      The third refill within 300 s signals, and so does each one after it. Confidence 0.70 with the third, 0.05 more
      with each later one, at most 0.85.
    * A steady quantity: standard deviation / mean stays below 10 % for 120 s, and the level was the best price at
      least once in that time. Confidence 0.70, and 0.75 once it has lasted 180 s (1.5 times as long). A level that is
      steady for long enough and becomes the best price only later signals at that moment.

    "Best price" means that of this book or of the one before, because a price that trades have just emptied is no
    longer the best.

    A book gives at most one signal, from the level with the highest confidence; of equal ones, from the level nearest
    to mid. A bid buys and an ask sells, at the level's price. With d = max(|mid - level|, 0.5 % of mid), a buy has its
    stop at level - d and its target at mid + 2.5 d, a sell the opposite. A level signals at most once in 120 s.

    If a book lists worse prices but not this level, the level's quantity is 0. If the book does not reach as far as
    the level, its quantity is unknown and nothing changes.

    A level is forgotten when no book has listed it for 300 s. It is forgotten earlier when its quantity has been 0 for
    more than 5 s, it had no refill within 300 s and no signal within 120 s. A gap of more than 5 s in the feed clears
    all levels, because falls and refills within the gap were missed.

    Only best prices count, because that is where trades meet hidden orders. At other levels, quotes come and go, and
    orders rest without being traded.

    Source: the rule of refills is that of petrosa-realtime-strategies, which counts refills without end and by the
    wall clock.

    Changed: the confidence of the first signal is 0.70. It was 0.80, which left room for only one step up to 0.85.
    """

    name = "iceberg"

    def __init__(self, params: IcebergParams) -> None:
        super().__init__(params)
        self._window_ms, self._refill_ms = params.window_s * 1000, params.refill_s * 1000
        self._steady_ms, self._level_interval_ms = params.steady_s * 1000, params.level_interval_s * 1000

    def on_depth(self, book: Depth, state: IcebergState) -> Iterable[Signal]:
        """Update the remembered levels, remember the best prices, and yield the signal of the strongest level."""
        if abs(book.time_ms - state.time_ms) > self._refill_ms:
            state.bids, state.asks, state.time_ms = BookSide(), BookSide(), book.time_ms
        another_second = book.time_ms // _SWEEP_MS > state.time_ms // _SWEEP_MS
        state.time_ms = max(state.time_ms, book.time_ms)
        found: list[LevelFinding] = []
        for side, action in ((state.bids, BUY), (state.asks, SELL)):
            self._take_side(side, book, state.time_ms, action, found)
            self._forget(side, state.time_ms)
            if another_second:
                self._sweep(side, state.time_ms)
        if found:
            strongest = max(found, key=lambda each: (each.confidence, -each.distance))
            strongest.level.said_ms = state.time_ms
            yield _signal(strongest, book)

    def explain(self, event: AnyEvent, state: IcebergState) -> Mapping[str, float]:
        """Return the evidence of the level that signals or, where none does, of the best bid and the best ask."""
        if not isinstance(event, Depth):
            return {}
        signal = next(iter(self.on_depth(event, state)), None)
        if signal is None:
            sides = (("bid", state.bids, event.bids[0][0]), ("ask", state.asks, event.asks[0][0]))
            found = [self._evidence(f"best_{name}_", side.levels[price], event) for name, side, price in sides]
            return found[0] | found[1]
        side = state.bids if signal.action == BUY else state.asks
        share = abs(event.mid - signal.price) / event.mid
        near = {"distance_share": share, "distance_share_at_most": self.params.max_distance}
        return self._evidence("", side.levels[signal.price], event) | near

    def _evidence(self, prefix: str, level: Level, book: Depth) -> dict[str, float]:
        return {
            f"{prefix}refills": len(level.refills_ms),
            f"{prefix}refills_at_least": self.params.refills,
            f"{prefix}steady_s": max(0, book.time_ms - level.steady_ms) / 1000,
            f"{prefix}steady_s_at_least": self.params.steady_s,
        }

    def _take_side(self, side: BookSide, book: Depth, now_ms: int, action: Action, found: list[LevelFinding]) -> None:
        """Take in one side of a book; add to `found` what its levels say."""
        quotes, levels = book.bids if action == BUY else book.asks, side.levels
        best, worst = quotes[0][0], quotes[-1][0]
        best_prices = (best, side.best)
        shown = {price: quantity for price, quantity in quotes if price in levels}
        # Both from the best price on. Mostly they are equal: then no level is gone, and none has to change its place.
        last = list(islice(reversed(levels), side.shown))
        if list(shown) != last:
            for price in last:
                # Only where the book reaches beyond it.
                if price not in shown and (price > worst if action == BUY else price < worst):
                    self._observe(levels[price], 0.0, now_ms, attacked=price == side.best)
            for price in reversed(shown):
                levels[price] = levels.pop(price)
        for price, quantity in shown.items():
            level = levels[price]
            # For how long it had held under attack in the last book that showed it.
            held_ms = level.seen_ms - level.steady_ms if level.attacked else -1
            level.seen_ms = now_ms
            attacked = price in best_prices
            # As it always was, like half of all levels: `_observe` would change no more than this.
            if quantity == level.mean == level.full and quantity and not (level.squares or level.fell_ms):
                level.books, level.attacked, refilled = level.books + 1, level.attacked or attacked, False
            else:
                refilled = self._observe(level, quantity, now_ms, attacked=attacked)
            if refilled or (level.attacked and now_ms - level.steady_ms >= self._steady_ms):
                said, distance = self._evaluate(level, held_ms, refilled=refilled), abs(book.mid - price)
                if said is not None and distance <= self.params.max_distance * book.mid:
                    found.append(LevelFinding(said[0], distance, action, price, level, said[1]))
        side.shown, side.best = len(shown), best
        if best not in levels:
            levels[best] = Level(now_ms, quotes[0][1], now_ms, 1, quotes[0][1])
            side.shown += 1

    def _observe(self, level: Level, quantity: float, now_ms: int, *, attacked: bool) -> bool:
        """Take in a level's quantity; return whether that was a refill."""
        level.books += 1
        if quantity != level.mean or level.squares or not quantity:
            self._weigh(level, quantity, now_ms)
        level.attacked = level.attacked or attacked
        if not level.fell_ms:
            if quantity > level.full:
                level.full = quantity
            elif attacked and quantity < level.full / 2:
                level.fell_ms = now_ms
            return False
        refilled = now_ms - level.fell_ms <= self._refill_ms and quantity > 0.8 * level.full
        if refilled or now_ms - level.fell_ms > self._refill_ms:
            level.fell_ms, level.full = 0, quantity
        if refilled:
            recent = [refill_ms for refill_ms in level.refills_ms if refill_ms > now_ms - self._window_ms]
            level.refills_ms = (*recent, now_ms)[-_MOST_REFILLS:]
        return refilled

    def _weigh(self, level: Level, quantity: float, now_ms: int) -> None:
        """Continue the steady time, or restart it with a quantity that ends it (Welford's sums)."""
        books, surprise = level.books, quantity - level.mean
        mean = level.mean + surprise / books
        squares = level.squares + surprise * (quantity - mean)
        if quantity == 0 or sqrt(squares / books) >= self.params.variation * mean:
            level.steady_ms, level.books, level.attacked = now_ms, 1, False
            mean, squares = quantity, 0.0
        level.mean, level.squares = mean, squares

    def _evaluate(self, level: Level, held_ms: int, *, refilled: bool) -> tuple[float, str] | None:
        """Return confidence and rationale where this book changes the level's evidence; it had held `held_ms` before."""
        params, refills, now_ms = self.params, len(level.refills_ms), level.seen_ms
        if level.said_ms and now_ms - level.said_ms < self._level_interval_ms:
            return None
        if refilled and refills >= params.refills:
            return min(0.85, 0.70 + 0.05 * (refills - params.refills)), f"the level refilled {refills} times"
        steady_ms = now_ms - level.steady_ms
        for seconds, confidence in ((1.5 * params.steady_s, 0.75), (params.steady_s, 0.70)):
            if level.attacked and held_ms < seconds * 1000 <= steady_ms:
                return confidence, f"the level held for {steady_ms / 1000:.0f} s"
        return None

    def _forget(self, side: BookSide, now_ms: int) -> None:
        """Remove the levels that left the window, and those seen longest ago if there are too many."""
        levels, since_ms = side.levels, now_ms - self._window_ms
        # The best price stays: it was seen last, and now.
        while len(levels) > self.params.levels or next(iter(levels.values())).seen_ms <= since_ms:
            del levels[next(iter(levels))]
            side.shown = min(side.shown, len(levels))

    def _sweep(self, side: BookSide, now_ms: int) -> None:
        """Remove levels that can't signal any more. Most can't: without this the state is twice as large."""
        unshown = islice(side.levels.items(), len(side.levels) - side.shown)
        for price in [price for price, level in unshown if self._is_spent(level, now_ms)]:
            del side.levels[price]

    def _is_spent(self, level: Level, now_ms: int) -> bool:
        """Return whether a level is empty, too late to refill, without recent refills and without a recent signal."""
        return (
            level.mean == 0
            and now_ms - level.steady_ms > self._refill_ms
            and (not level.refills_ms or now_ms - level.refills_ms[-1] >= self._window_ms)
            and now_ms - level.said_ms >= self._level_interval_ms
        )


def _signal(found: LevelFinding, book: Depth) -> Signal:
    risk = max(found.distance, 0.005 * book.mid)
    direction = 1 if found.action == BUY else -1
    return Signal(
        action=found.action,
        confidence=found.confidence,
        price=found.price,
        current_price=book.mid,
        stop_loss=found.price - direction * risk,
        take_profit=book.mid + direction * 2.5 * risk,
        rationale=found.rationale,
        indicators={"refills": float(len(found.level.refills_ms)), "distance": found.distance},
    )
