"""Follow the side of the book that has been heavier for ten seconds (book depth)."""

from collections.abc import Iterable, Mapping
from math import expm1, fsum
from typing import Annotated

from pydantic import Field

from tasks.events import AnyEvent, Depth
from tasks.once_per_event import once_per_event
from tasks.strategy import Params, Signal, State, Strategy

#: The longest time that one book counts for: one book after a gap in the feed must not decide the mean alone.
_LONGEST_STEP_MS = 1_000


class DepthPressureParams(Params):
    """Time constant of the mean, and the thresholds."""

    levels: Annotated[int, Field(ge=1, le=20, description="Best levels of each side that are weighed.")] = 20
    window_s: Annotated[float, Field(gt=0, le=600, description="Time constant of the mean, in seconds.")] = 10.0
    threshold: Annotated[
        float, Field(gt=0, lt=1, description="Mean imbalance above which to buy, below its negative to sell.")
    ] = 0.3
    warmup_books: Annotated[
        int, Field(ge=0, le=100_000, description="Books before the first signal: ten seconds of a 100 ms feed.")
    ] = 100


class DepthPressureState(State):
    """The mean so far."""

    #: Exponentially weighted mean of the imbalance, -1 to 1.
    mean: float = 0.0
    #: Event time of the newest book, unix milliseconds; 0 before the first.
    time_ms: int = 0
    #: The side of the mean: +1 buy, -1 sell, 0 neither.
    side: int = 0


class DepthPressure(Strategy[DepthPressureParams, DepthPressureState]):
    """Weigh all levels of the book, near ones more, and average the imbalance over time.

        weight    = 1 / (1 + |price - best price of its side| / spread)                 (no unit)
        imbalance = (bids - asks) / (bids + asks), each the sum of quantity * weight    (-1 to 1)
        mean     += (imbalance - mean) * (1 - exp(-seconds since the last book / 10 s))

    When the mean rises above 0.3: buy at the best bid. When it falls below -0.3: sell at the best ask. The next signal
    of the same side needs the mean to come back to less than half of the threshold (0.15) first.

    Confidence: min(0.95, 0.55 + (|mean| + |imbalance|) / 4). At a crossing the mean is always close to the threshold,
    so signals differ mainly by the imbalance of the current book.

    The mean starts at 0. Warm-up: 100 books, which is ten seconds of a 100 ms feed. A book counts for one second at
    most, so that the first book after a gap in the feed does not decide the mean alone. A book whose time is not later
    than the newest leaves the mean as it is.

    Source: strategies of order-book imbalance after Cont, Kukanov and Stoikov (2014), with numbers in the style of
    petrosa-realtime-strategies.

    Changed: the threshold was 0.4. In three of the four recorded order books (two symbols, spot and futures), the mean
    crossed that at most once within minutes.
    """

    name = "depth_pressure"

    @property
    def warmup(self) -> int:
        """Books before the mean is used."""
        return self.params.warmup_books

    def on_depth(self, book: Depth, state: DepthPressureState) -> Iterable[Signal]:
        """Take the book into the mean."""
        params, now = self.params, _imbalance(book, self.params.levels)
        step_ms = min(book.time_ms - state.time_ms, _LONGEST_STEP_MS) if state.time_ms else 0
        if step_ms > 0:
            state.mean -= (now - state.mean) * expm1(-step_ms / 1000 / params.window_s)
        # A clock that ran back by more than a step was wrong before: go on from the new time.
        state.time_ms = book.time_ms if step_ms < -_LONGEST_STEP_MS else max(state.time_ms, book.time_ms)
        side = _side(state, params.threshold)
        changed, state.side = 0 != side != state.side, side
        if changed:
            yield Signal(
                action="buy" if side > 0 else "sell",
                confidence=min(0.95, 0.55 + (abs(state.mean) + abs(now)) / 4),
                price=book.bids[0][0] if side > 0 else book.asks[0][0],
                current_price=book.mid,
                rationale=f"the book leans {state.mean:+.2f} on average over {params.window_s:g} s",
                indicators={"mean": state.mean, "imbalance": now},
            )

    def explain(self, event: AnyEvent, state: DepthPressureState) -> Mapping[str, float]:
        """Return the mean with this book in it, the book's own imbalance, and the side before."""
        if not isinstance(event, Depth):
            return {}
        side = state.side
        for _ in self.on_depth(event, state):
            pass
        threshold = self.params.threshold
        return {
            "mean": state.mean,
            **({"mean_above": threshold} if state.mean > 0 else {"mean_below": -threshold}),
            "imbalance": _imbalance(event, self.params.levels),
            "side_before": side,
        }


@once_per_event
def _imbalance(book: Depth, levels: int) -> float:
    spread, best_bid, best_ask = book.spread, book.bids[0][0], book.asks[0][0]
    # fsum, because it gives the same float on every Python: sum() adds floats differently since 3.12.
    # 1.0, because a float is added to an integer more slowly.
    bids = fsum([quantity / (1.0 + (best_bid - price) / spread) for price, quantity in book.bids[:levels]])
    asks = fsum([quantity / (1.0 + (price - best_ask) / spread) for price, quantity in book.asks[:levels]])
    return (bids - asks) / (bids + asks)


def _side(state: DepthPressureState, threshold: float) -> int:
    """Return the side of the mean: a side is entered at the threshold and left at half of it."""
    if abs(state.mean) > threshold:
        return 1 if state.mean > 0 else -1
    return state.side if state.side * state.mean >= threshold / 2 else 0
