"""Follow a price that has moved fast for a minute and goes on moving (trades)."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import fsum
from typing import Annotated

import msgspec
from pydantic import Field

from tasks.events import AnyEvent, Trade
from tasks.strategy import Params, Signal, State, Strategy


class PriceVelocityParams(Params):
    """Length of the window, and the thresholds of velocity."""

    window_s: Annotated[int, Field(ge=2, le=120, description="Over how long the change is taken, in seconds.")] = 60
    threshold: Annotated[
        float, Field(gt=0, le=1_000, description="Velocity beyond which to signal, in % of the price a minute.")
    ] = 0.25
    min_change: Annotated[
        float, Field(ge=0, le=100, description="The change itself must be at least this, in % of the price.")
    ] = 0.1


class PriceVelocityState(State):
    """The last price of each second with trades, oldest first; the newest that left the window is kept."""

    seconds: list[int] = msgspec.field(default_factory=list)
    prices: list[float] = msgspec.field(default_factory=list)
    #: The side of the velocity: +1 buy, -1 sell, 0 neither.
    side: int = 0


class PriceVelocity(Strategy[PriceVelocityParams, PriceVelocityState]):
    """Compare the price with that of 60 seconds ago.

        change   = (price / last price at or before 60 s ago - 1) * 100                              (%)
        velocity = change / minutes in the window                                                    (% a minute)
        straight = |price now - price then| / sum of |price of a second - that of the one before|    (0 to 1)

    Buy when velocity > 0.25, sell when velocity < -0.25, at the price of the trade. Two more conditions: |change| is
    at least 0.1 %, and the price moved in the same direction in the second half of the window. The next signal of the
    same side needs the velocity to come back to less than half of the threshold first, so that a price close to the
    threshold signals once.

    Confidence: min(0.95, 0.60 + |velocity| / 10 + straight / 4). At a crossing the velocity is always close to the
    threshold, so signals differ mainly by how straight the move was.

    Times are whole seconds of event time. There is no signal until a window is full, so there is no other warm-up. A
    trade with an older time than the newest trade counts in the newest second. If it is older by the window or more,
    the window starts again empty.

    Source: petrosa-realtime-strategies announces a ticker_velocity but does not contain it. Straightness is Kaufman's
    efficiency ratio.

    Changed: the threshold was 0.5 % a minute; the fastest minute in the recordings was 0.39 %.
    """

    name = "price_velocity"

    def on_trade(self, trade: Trade, state: PriceVelocityState) -> Iterable[Signal]:
        """Take the trade in, and compare."""
        self._remember(trade, state)
        second = state.seconds[-1]
        if state.seconds[0] > second - self.params.window_s:
            return
        change = (trade.price / state.prices[0] - 1) * 100
        velocity = change * 60 / self.params.window_s
        side = self._side(trade, velocity, change, state)
        changed, state.side = 0 != side != state.side, side
        if changed:
            straight = _straight(state)
            yield Signal(
                action="buy" if side > 0 else "sell",
                confidence=min(0.95, 0.60 + abs(velocity) / 10 + straight / 4),
                price=trade.price,
                current_price=trade.price,
                rationale=f"the price moves by {velocity:+.2f} % a minute",
                indicators={"velocity": velocity, "change": change, "straight": straight},
            )

    def explain(self, event: AnyEvent, state: PriceVelocityState) -> Mapping[str, float]:
        """Return velocity, change, the move of the second half, and how much of the window is full."""
        if not isinstance(event, Trade):
            return {}
        params, side = self.params, state.side
        for _ in self.on_trade(event, state):
            pass
        second = state.seconds[-1]
        window = {"window_s": second - state.seconds[0], "window_s_at_least": params.window_s, "side_before": side}
        if second - state.seconds[0] < params.window_s:
            return window
        change = (event.price / state.prices[0] - 1) * 100
        direction, sign = ("above", 1) if change > 0 else ("below", -1)
        half = "at_least" if change > 0 else "at_most"
        return window | {
            "velocity": change * 60 / params.window_s,
            f"velocity_{direction}": sign * params.threshold,
            "change": change,
            f"change_{half}": sign * params.min_change,
            "second_half": event.price - _price_at(state, second - params.window_s // 2),
            f"second_half_{direction}": 0.0,
        }

    def _remember(self, trade: Trade, state: PriceVelocityState) -> None:
        second = trade.time_ms // 1000
        if not state.seconds or second != state.seconds[-1]:
            self._go_to(second, state)
        state.prices[-1] = trade.price

    def _go_to(self, second: int, state: PriceVelocityState) -> None:
        """Begin a second, or the window; an older trade counts in the newest second."""
        if state.seconds and second <= state.seconds[-1] - self.params.window_s:
            state.seconds, state.prices, state.side = [], [], 0
        if not state.seconds or second > state.seconds[-1]:
            state.seconds.append(second)
            state.prices.append(0.0)
            while len(state.seconds) > 1 and state.seconds[1] <= second - self.params.window_s:
                del state.seconds[0], state.prices[0]

    def _side(self, trade: Trade, velocity: float, change: float, state: PriceVelocityState) -> int:
        if abs(velocity) > self.params.threshold and abs(change) >= self.params.min_change:
            direction = 1 if velocity > 0 else -1
            second_half = trade.price - _price_at(state, state.seconds[-1] - self.params.window_s // 2)
            if direction * second_half > 0:
                return direction
        return state.side if state.side * velocity >= self.params.threshold / 2 else 0


def _price_at(state: PriceVelocityState, second: int) -> float:
    """Return the last price at or before `second`, which is not before the oldest."""
    return state.prices[bisect_right(state.seconds, second) - 1]


def _straight(state: PriceVelocityState) -> float:
    """Return the net move over the sum of all moves; above 0, because the price has changed."""
    return abs(state.prices[-1] - state.prices[0]) / fsum([abs(new - old) for old, new in pairwise(state.prices)])
