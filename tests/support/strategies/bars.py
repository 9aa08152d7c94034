"""A strategy of bars that shows in its signals what it was given, and trades for it."""

from collections.abc import Iterable
from typing import Any

import msgspec
from hypothesis import strategies as st

from tasks.bars import Bar
from tasks.events import AggTrade, Trade
from tasks.strategy import Params, Signal, State, Strategy
from tests.support.events import TIME_MS, trade

#: A trade of this quantity is what the strategies below stumble over.
BAD = 13.0
#: Times, whole and broken; small enough for a few dozen trades to fill them.
SPECS = ("1s", "1m", "3tick", "5volume", "700dollar")


class BarParams(Params):
    """Each choice of bars."""

    min_signal_interval_s: float = 0.0
    bars: tuple[str, ...] = SPECS


class BarMemory(State):
    """What came, in its order."""

    calls: list[str] = msgspec.field(default_factory=list)


class BarEcho(Strategy[BarParams, BarMemory]):
    """Speaks on every bar, and says all of it; remembers what it was called for."""

    name = "bar_echo"

    @property
    def bars(self) -> tuple[str, ...]:
        return self.params.bars

    def on_bar(self, bar: Bar, state: BarMemory) -> Iterable[Signal]:
        state.calls.append(f"{bar.symbol} {bar.spec} {bar.open_ms} {bar.trades}")
        told: dict[str, Any] = msgspec.structs.asdict(bar)
        numbers = {name: float(value) for name, value in told.items() if isinstance(value, int | float)}
        yield Signal(
            action="buy",
            confidence=0.5,
            price=bar.close,
            current_price=bar.vwap,
            rationale=bar.spec,
            indicators=numbers,
        )

    def on_trade(self, trade: Trade, state: BarMemory) -> Iterable[Signal]:
        state.calls.append(f"{trade.symbol} trade {trade.id}")
        return ()


class BarSpeaker(BarEcho):
    """Speaks of bars only, and remembers nothing: what goes on for long."""

    name = "bar_speaker"

    def on_bar(self, bar: Bar, _: BarMemory) -> Iterable[Signal]:
        yield from super().on_bar(bar, BarMemory())

    def on_trade(self, *_: object) -> Iterable[Signal]:
        return ()


class BarSpeakerOfAll(BarSpeaker):
    name = "bar_speaker_of_all"
    key = "all"


class BarsOfAll(BarEcho):
    name = "bars_of_all"
    key = "all"


class GrumpyOnBars(BarEcho):
    """Raises on bars that a bad trade is the first of, after it has said something."""

    name = "grumpy_on_bars"

    def on_bar(self, bar: Bar, state: BarMemory) -> Iterable[Signal]:
        yield from super().on_bar(bar, state)
        if bar.open == BAD:
            raise ValueError("a bad bar")


def aggregate(first_id: int, last_id: int, **fields: Any) -> AggTrade:
    """Return an aggregate of the trades from the first to the last id."""
    one = trade(**fields)
    return AggTrade(**msgspec.structs.asdict(one), first_id=first_id, last_id=last_id)


#: What clocks do between two trades, in ms: mostly little, at times a bit backwards, a pause, or an hour either way.
_steps_ms = st.one_of(
    st.integers(0, 900), st.integers(-2_500, 0), st.integers(20_000, 200_000), st.sampled_from([3_600_000, -3_600_000])
)


@st.composite
def trades_of(draw: st.DrawFn, symbols: tuple[str, ...] = ("BTCUSDT",), max_size: int = 60) -> list[Trade]:
    """Draw trades in the exchange's order, of these symbols, whatever their clocks do."""
    step = st.tuples(
        _steps_ms, st.floats(90, 110), st.floats(1e-5, 4), st.sampled_from(["buy", "sell"]), st.sampled_from(symbols)
    )
    time_ms, made = TIME_MS, []
    for number, (step_ms, price, quantity, taker, symbol) in enumerate(draw(st.lists(step, max_size=max_size)), 1):
        time_ms = max(0, time_ms + step_ms)
        made.append(trade(price, quantity, taker=taker, time_ms=time_ms, id=number, seq=number, symbol=symbol))
    return made
