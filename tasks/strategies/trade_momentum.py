"""Follow trades that move the price, are large, and agree on their side (trades)."""

from collections.abc import Iterable, Mapping
from math import fsum, log, sqrt, tanh
from typing import Annotated

import msgspec
from pydantic import Field

from tasks.events import AnyEvent, Trade
from tasks.strategy import Params, Signal, State, Strategy


class TradeMomentumParams(Params):
    """Length of the window, and the thresholds."""

    window: Annotated[int, Field(ge=2, le=100, description="Trades behind the return and the mean quantity.")] = 50
    half_life: Annotated[
        int, Field(ge=1, le=100_000, description="Trades after which a return counts half in its standard deviation.")
    ] = 200
    flow_s: Annotated[int, Field(ge=1, le=60, description="Window of the flow, in seconds.")] = 30
    threshold: Annotated[
        float, Field(gt=0, lt=1, description="Score above which to buy, below its negative to sell.")
    ] = 0.7


class TradeMomentumState(State):
    """The last trades, the returns so far in two numbers, and the flow by the second; 2 KiB packed."""

    #: ln(price) of the last `window` trades, oldest first.
    log_prices: list[float] = msgspec.field(default_factory=list)
    #: Quantities of the same trades, base units.
    quantities: list[float] = msgspec.field(default_factory=list)
    #: How many returns there were.
    returns: int = 0
    #: Their exponentially weighted mean and variance.
    mean: float = 0.0
    variance: float = 0.0
    #: Flow: one bucket for each second with trades, oldest first: unix seconds, and the base units that
    #: takers bought and sold in it.
    seconds: list[int] = msgspec.field(default_factory=list)
    bought: list[float] = msgspec.field(default_factory=list)
    sold: list[float] = msgspec.field(default_factory=list)
    #: The side of the last trade's score: +1 buy, -1 sell, 0 neither.
    side: int = 0


class TradeMomentum(Strategy[TradeMomentumParams, TradeMomentumState]):
    """Add up three scores of a trade, each between -1 and 1.

        score = 0.4 tanh(z) + 0.3 size + 0.3 flow
        z     = r / sd, r = ln(price / price 50 trades ago), sd = standard deviation of the r so far
        size  = side * min(1, quantity / mean quantity of the 50 trades before), side = +1 taker buy, -1 taker sell
        flow  = (taker buys - taker sells) / (both), in base units, over the last 30 s

    Buy when score > 0.7, sell when score < -0.7, at the price of the trade. Confidence 0.65 + 0.30 (|score| - 0.7) /
    (1 - 0.7): 0.65 at the threshold, 0.95 at a score of 1.

    * sd is exponentially weighted around the mean of r, which is weighted in the same way. The half-life is 200
      trades, and the present r is included. The first returns have equal weights, until those would be smaller than
      the weight that the half-life gives. In a market that never moved sd is 0; then z = 0.
    * Flow is kept in buckets of a whole second of event time: the second of the trade and the 29 before it. A trade
      with an older time than the newest trade counts in the newest second. If it is older by the window or more, the
      flow starts again empty, so that one timestamp in the future can't freeze it.
    * A signal comes with the first trade at which the score is beyond a threshold. The size of a single trade is part
      of the score, so the score often crosses the threshold; the cool-down limits the number of signals.
    * Warm-up: 50 + 200 trades, so that sd covers as many returns as its half-life.

    Source: petrosa-realtime-strategies, which adds the raw return to two terms of up to 1, so its score never reaches
    the threshold.

    Changed: the confidence was 0.65 + 0.2 |score|. No signal has a score below 0.7, so it was always between 0.79 and
    0.85.
    """

    name = "trade_momentum"

    @property
    def warmup(self) -> int:
        """Trades needed for a window and a half-life of returns."""
        return self.params.window + self.params.half_life

    def __init__(self, params: TradeMomentumParams) -> None:
        """Work out the weight of a return: 1 - 2^(-1 / half-life)."""
        super().__init__(params)
        self._weight = 1 - 0.5 ** (1 / params.half_life)

    def on_trade(self, trade: Trade, state: TradeMomentumState) -> Iterable[Signal]:
        """Score the trade against those before it."""
        trend, size = self._trend(trade, state), _size(trade, state)
        flow = self._flow(trade, state)
        score = _score(trend, size, flow)
        state.quantities.append(trade.quantity)
        if len(state.quantities) > self.params.window:
            del state.quantities[0]
        threshold = self.params.threshold
        side = 1 if score > threshold else -1 if score < -threshold else 0
        changed, state.side = 0 != side != state.side, side
        if changed:
            yield Signal(
                action="buy" if side > 0 else "sell",
                confidence=0.65 + 0.30 * min(1.0, (abs(score) - threshold) / (1 - threshold)),
                price=trade.price,
                current_price=trade.price,
                rationale=f"trend {trend:+.2f}, size {size:+.2f} and flow {flow:+.2f} agree",
                indicators={"score": score, "trend": trend, "size": size, "flow": flow},
            )

    def explain(self, event: AnyEvent, state: TradeMomentumState) -> Mapping[str, float]:
        """Return the score and its three parts, and the side before."""
        if not isinstance(event, Trade):
            return {}
        side = state.side
        trend, size = self._trend(event, state), _size(event, state)
        flow = self._flow(event, state)
        score, threshold = _score(trend, size, flow), self.params.threshold
        bound = {"score_above": threshold} if score > 0 else {"score_below": -threshold}
        return {"score": score, **bound, "trend": trend, "size": size, "flow": flow, "side_before": side}

    def _trend(self, trade: Trade, state: TradeMomentumState) -> float:
        """Return tanh(z); 0 while the window fills."""
        log_price = log(trade.price)
        state.log_prices.append(log_price)
        if len(state.log_prices) <= self.params.window:
            return 0.0
        change = log_price - state.log_prices.pop(0)
        state.returns += 1
        weight = max(self._weight, 1 / state.returns)
        surprise = change - state.mean
        state.mean += weight * surprise
        state.variance = (1 - weight) * (state.variance + weight * surprise * surprise)
        return tanh(change / sqrt(state.variance)) if state.variance > 0 else 0.0

    def _flow(self, trade: Trade, state: TradeMomentumState) -> float:
        """Return the balance of taker volume over the window, this trade included."""
        second = trade.time_ms // 1000
        if not state.seconds or second != state.seconds[-1]:
            self._go_to(second, state)
        (state.sold if trade.buyer_is_maker else state.bought)[-1] += trade.quantity
        # fsum: summed again each time, so nothing drifts, and rounded once, so every Python gives the same float.
        bought, sold = fsum(state.bought), fsum(state.sold)
        return (bought - sold) / (bought + sold)

    def _go_to(self, second: int, state: TradeMomentumState) -> None:
        """Begin a second, or the window; an older trade counts in the newest second."""
        if state.seconds and second <= state.seconds[-1] - self.params.flow_s:
            state.seconds, state.bought, state.sold = [], [], []
        if not state.seconds or second > state.seconds[-1]:
            state.seconds.append(second)
            state.bought.append(0.0)
            state.sold.append(0.0)
            while state.seconds[0] <= second - self.params.flow_s:
                del state.seconds[0], state.bought[0], state.sold[0]


def _score(trend: float, size: float, flow: float) -> float:
    return 0.4 * trend + 0.3 * size + 0.3 * flow


def _size(trade: Trade, state: TradeMomentumState) -> float:
    """Return the signed size against the mean before; a first trade is its own mean."""
    mean = fsum(state.quantities) / len(state.quantities) if state.quantities else trade.quantity
    return trade.side * min(1.0, trade.quantity / mean)
