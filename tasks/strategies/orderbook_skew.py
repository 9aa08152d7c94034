"""Buy when the best bids outweigh the best asks, sell when they are outweighed (book depth)."""

from collections.abc import Iterable, Mapping
from itertools import islice
from math import fsum, log
from typing import Annotated

from pydantic import Field

from tasks.events import AnyEvent, Depth, Level
from tasks.once_per_event import once_per_event
from tasks.strategy import Params, Signal, State, Strategy

#: After a longer step in time, books in between were missed.
_LONGEST_STEP_MS = 2_000


class OrderbookSkewParams(Params):
    """Thresholds of a lopsided book, and the widest spread at which it counts."""

    levels: Annotated[int, Field(ge=1, le=20, description="Best levels of each side that are weighed.")] = 5
    max_spread_bps: Annotated[
        float, Field(gt=0, le=1_000, description="A book with a wider spread is not judged, in basis points of mid.")
    ] = 10.0
    buy_ratio: Annotated[float, Field(gt=1, le=1_000, description="Bids over asks above which to buy.")] = 3.0
    sell_ratio: Annotated[float, Field(gt=0, lt=1, description="Bids over asks below which to sell.")] = 1 / 3
    hold_s: Annotated[
        float, Field(ge=0, le=600, description="How long the book must stay lopsided before a signal, in seconds.")
    ] = 2.0


class OrderbookSkewState(State):
    """The side that the books favour, and since when."""

    #: +1 buy, -1 sell, 0 neither.
    side: int = 0
    #: Event time of the first book of that side in a row, and of the newest, unix milliseconds.
    since_ms: int = 0
    time_ms: int = 0
    #: Whether this side has given its signal.
    said: bool = False


class OrderbookSkew(Strategy[OrderbookSkewParams, OrderbookSkewState]):
    """Follow the heavier side of the book.

        ratio = sum of quantity of the best 5 bids / the same of the asks        (no unit)
        ratio > 3:   buy  at best bid, confidence min(0.95, 0.60 + ln(ratio / 3) / 5)
        ratio < 1/3: sell at best ask, confidence min(0.95, 0.60 + ln(1/3 / ratio) / 5)

    The ratio has to stay beyond its threshold for 2 s without a break; that gives one signal. A book whose spread is
    above 10 bps (0.1 %) of mid ends the 2 s, and so does a gap of more than 2 s between two books. There is no
    warm-up, because a ratio needs one book only.

    Source: the ratio is from the README of petrosa-realtime-strategies, which announces this strategy.

    Changed: the thresholds were 1.2 and 0.8, without the 2 s. Nine of ten recorded books were beyond them, so only the
    cool-down limited the number of signals. The confidence was 0.60 + (ratio - 1.2) / 2, which gave three of four buys
    0.95. Now the logarithm is used, which treats 3 and 1/3 as equally far from balance.
    """

    name = "orderbook_skew"

    def on_depth(self, book: Depth, state: OrderbookSkewState) -> Iterable[Signal]:
        """Weigh the two sides."""
        params = self.params
        ratio, spread_bps = _weigh(book, params.levels)
        side = 0
        if spread_bps <= params.max_spread_bps:
            side = 1 if ratio > params.buy_ratio else -1 if ratio < params.sell_ratio else 0
        self._hold(book, side, state)
        if side and not state.said and state.time_ms - state.since_ms >= params.hold_s * 1000:
            state.said = True
            yield self._signal(book, side, ratio)

    def explain(self, event: AnyEvent, state: OrderbookSkewState) -> Mapping[str, float]:
        """Return the ratio, the spread, and for how long the side has held."""
        if not isinstance(event, Depth):
            return {}
        params = self.params
        for _ in self.on_depth(event, state):
            pass
        ratio, spread_bps = _weigh(event, params.levels)
        return {
            "ratio": ratio,
            **({"ratio_above": params.buy_ratio} if ratio > 1 else {"ratio_below": params.sell_ratio}),
            "spread_bps": spread_bps,
            "spread_bps_at_most": params.max_spread_bps,
            "held_s": (state.time_ms - state.since_ms) / 1000,
            "held_s_at_least": params.hold_s,
        }

    def _hold(self, book: Depth, side: int, state: OrderbookSkewState) -> None:
        """Continue the time for which the side has held, or restart it."""
        gap = abs(book.time_ms - state.time_ms) > _LONGEST_STEP_MS
        if gap or side != state.side:
            state.since_ms, state.said = book.time_ms, False
        # A small step back in time counts as none.
        state.time_ms = book.time_ms if gap else max(state.time_ms, book.time_ms)
        state.since_ms = min(state.since_ms, state.time_ms)
        state.side = side

    def _signal(self, book: Depth, side: int, ratio: float) -> Signal:
        beyond = log(ratio / self.params.buy_ratio) if side > 0 else log(self.params.sell_ratio / ratio)
        return Signal(
            action="buy" if side > 0 else "sell",
            confidence=min(0.95, 0.60 + beyond / 5),
            price=book.bids[0][0] if side > 0 else book.asks[0][0],
            current_price=book.mid,
            rationale=f"the best bids hold {ratio:.2f} times the quantity of the best asks",
            indicators={"ratio": ratio, "spread_bps": book.spread_bps},
        )


@once_per_event
def _weigh(book: Depth, levels: int) -> tuple[float, float]:
    """Return the ratio of the best levels, and the spread in basis points."""
    return _quantity(book.bids, levels) / _quantity(book.asks, levels), book.spread_bps


def _quantity(side: tuple[Level, ...], levels: int) -> float:
    # fsum, because it gives the same float on every Python: sum() adds floats differently since 3.12.
    return fsum([quantity for _, quantity in islice(side, levels)])
