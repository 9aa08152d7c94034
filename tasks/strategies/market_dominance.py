"""Buy Bitcoin when it carries the market, sell it when the others leave it behind (trades of a basket)."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec
from pydantic import Field

from tasks.events import AnyEvent, Trade
from tasks.strategy import Params, Signal, State, Strategy

#: Points a window is kept in: with 24 h one every 15 minutes.
_POINTS = 96
_MINUTE_MS = 60_000


class MarketDominanceParams(Params):
    """The basket, the window and the thresholds."""

    min_signal_interval_s: Annotated[
        float,
        Field(ge=0, le=86_400, description="Event time between two signals of one symbol and action, in seconds."),
    ] = 14_400.0
    leader: Annotated[str, Field(pattern=r"^[A-Z0-9_-]{1,40}$", description="The symbol that is traded.")] = "BTCUSDT"
    others: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Z0-9_-]{1,40}$")], ...],
        Field(min_length=1, max_length=3, description="The symbols it is measured against."),
    ] = ("ETHUSDT", "BNBUSDT")
    window_s: Annotated[int, Field(ge=60, le=86_400, description="Over how long prices are compared, in seconds.")] = (
        86_400
    )
    high: Annotated[float, Field(gt=30, lt=80, description="Dominance above which, rising, to buy.")] = 70.0
    low: Annotated[float, Field(gt=30, lt=80, description="Dominance below which, falling, to sell.")] = 40.0
    jump: Annotated[float, Field(gt=0, lt=50, description="Change within the window that is enough by itself.")] = 5.0


class MarketDominanceState(State):
    """Prices and dominance at up to 97 points of the window; 3.6 KiB packed with three symbols."""

    #: By symbol, the last price.
    last: dict[str, float] = msgspec.field(default_factory=dict)
    #: By symbol, the last price of each point in time, oldest first; all lists are equally long.
    prices: dict[str, list[float]] = msgspec.field(default_factory=dict)
    #: The dominance at the same points.
    dominance: list[float] = msgspec.field(default_factory=list)
    #: The number of the newest point: event time over the step.
    point: int = 0
    #: The newest minutes with trades, and the dominance at their start: what is compared for rising and falling.
    minutes: list[int] = msgspec.field(default_factory=list)
    starts: list[float] = msgspec.field(default_factory=list)
    #: The side of the dominance: +1 buy, -1 sell, 0 neither.
    side: int = 0


class MarketDominance(Strategy[MarketDominanceParams, MarketDominanceState]):
    """Compare how Bitcoin, Ether and BNB did within 24 hours.

        momentum(s) = max(0, 10 + change of the price of s within the window in %)      (no unit)
        dominance   = 30 + 50 * momentum(BTC) / sum of all momenta                      (30 to 80)

    * Buy BTC, confidence 0.80: the dominance is above 70 and higher than two minutes ago, or it is 5 higher than at
      the start of the window.
    * Sell BTC, confidence 0.75: the dominance is below 40 and lower than two minutes ago, or it is 5 lower than at the
      start of the window.

    A signal comes with the first trade at which a condition becomes true, at the last price of BTC. Each action
    signals at most once in 4 hours.

    There is no signal until each symbol has traded, nor while the sum of momenta is 0. Until a whole window has
    passed, it starts at the first event with all three symbols; there every momentum is 10 and the dominance 46.7. A
    trade with an older time than the newest trade counts at the newest time. A gap, or a step back in time, of more
    than a window restarts the strategy; a step back of two minutes or more restarts the comparison with two minutes
    ago.

    The window is kept in 96 steps (of 15 minutes, with 24 h). A value for every minute would make a state of 51 KiB,
    which every batch reads from the ledger and writes back. With 96 steps it stays within 4 KiB, and a change over 24
    h does not depend on the exact minute of its start.

    Source: petrosa-realtime-strategies' approximation of Bitcoin's dominance. If no price moves, the dominance is
    46.7. For 70, BTC needs four fifths of the sum, for example with ETH and BNB down 9 % and BTC unchanged. So in
    practice the first signal comes from a change of 5 within the window.
    """

    name = "market_dominance"
    key = "all"

    def __init__(self, params: MarketDominanceParams) -> None:
        """Work out the step between two points."""
        super().__init__(params)
        self._symbols = tuple(dict.fromkeys((params.leader, *params.others)))
        self._step_ms = params.window_s * 1000 // _POINTS

    def on_trade(self, trade: Trade, state: MarketDominanceState) -> Iterable[Signal]:
        """Take in a trade of the basket; compare once every symbol has traded."""
        if trade.symbol not in self._symbols:
            return
        state.last[trade.symbol] = trade.price
        if len(state.last) < len(self._symbols):
            return
        self._move_on(trade, state)
        state.prices[trade.symbol][-1] = trade.price
        now = self._dominance(state)
        if now is None:
            return
        state.dominance[-1] = now
        side = self._side(now, self._two_minutes_ago(trade, now, state), state.dominance[0])
        changed, state.side = 0 != side != state.side, side
        if changed:
            yield self._signal(now, side, state)

    def explain(self, event: AnyEvent, state: MarketDominanceState) -> Mapping[str, float]:
        """Return the dominance, its change within the window and within two minutes, and the side before."""
        if not isinstance(event, Trade):
            return {}
        params, side = self.params, state.side
        for _ in self.on_trade(event, state):
            pass
        if not state.dominance:
            return {"symbols_traded": len(state.last), "symbols_traded_at_least": len(self._symbols)}
        now, window_ago = state.dominance[-1], state.dominance[0]
        change, rises = now - window_ago, now > window_ago
        numbers = {
            "dominance": now,
            **({"dominance_above": params.high} if rises else {"dominance_below": params.low}),
            "change": change,
            **({"change_at_least": params.jump} if rises else {"change_at_most": -params.jump}),
        }
        if state.starts and state.minutes[0] <= event.time_ms // _MINUTE_MS - 2:
            numbers["change_in_two_minutes"] = now - state.starts[0]
        return numbers | {"side_before": float(side)}

    def _move_on(self, trade: Trade, state: MarketDominanceState) -> None:
        """Bring the points up to the trade's time; a symbol without a trade keeps its price."""
        steps = trade.time_ms // self._step_ms - state.point
        if not state.dominance or abs(steps) > _POINTS:
            # Twice: the first stays as the start of the window, the second is the present.
            even = 30 + 50 / len(self._symbols)
            state.prices = {name: [state.last[name]] * 2 for name in self._symbols}
            state.dominance = [even] * 2
            state.point, state.minutes, state.starts, state.side = state.point + steps, [], [], 0
            return
        for _ in range(steps):
            for kept in (*state.prices.values(), state.dominance):
                kept.append(kept[-1])
                del kept[: -_POINTS - 1]
        state.point += max(0, steps)

    def _dominance(self, state: MarketDominanceState) -> float | None:
        momenta = [max(0.0, 10 + (prices[-1] / prices[0] - 1) * 100) for prices in state.prices.values()]
        # Three terms, added from the left on every Python; the leader comes first.
        total = momenta[0]
        for momentum in momenta[1:]:
            total += momentum
        return 30 + 50 * momenta[0] / total if total > 0 else None

    def _two_minutes_ago(self, trade: Trade, now: float, state: MarketDominanceState) -> float | None:
        """Return the dominance at the start of the last minute that began two or more minutes ago; None before that."""
        minute = trade.time_ms // _MINUTE_MS
        if state.minutes and minute <= state.minutes[-1] - 2:
            # The clock was ahead: its minutes lie in the future, so nothing would be compared until then.
            state.minutes, state.starts = [], []
        if not state.minutes or minute > state.minutes[-1]:
            state.minutes.append(minute)
            state.starts.append(now)
            while len(state.minutes) > 1 and state.minutes[1] <= minute - 2:
                del state.minutes[0], state.starts[0]
        return state.starts[0] if state.minutes[0] <= minute - 2 else None

    def _side(self, now: float, before: float | None, window_ago: float) -> int:
        params = self.params
        if now - window_ago >= params.jump or (before is not None and now > params.high and now > before):
            return 1
        if window_ago - now >= params.jump or (before is not None and now < params.low and now < before):
            return -1
        return 0

    def _signal(self, now: float, side: int, state: MarketDominanceState) -> Signal:
        price = state.last[self.params.leader]
        return Signal(
            action="buy" if side > 0 else "sell",
            confidence=0.80 if side > 0 else 0.75,
            symbol=self.params.leader,
            price=price,
            current_price=price,
            rationale=f"the dominance is {now:.1f}, a window ago it was {state.dominance[0]:.1f}",
            indicators={"dominance": now, "change": now - state.dominance[0]},
        )
