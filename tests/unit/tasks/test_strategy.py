"""The base of strategies, and what every built-in strategy promises."""

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.configuration import registry
from tasks.events import AnyEvent
from tasks.strategy import Params, Signal, State, Strategy, methods_of
from tests.support.events import TIME_MS, book, books, feed, trade, trades


class NodParams(Params):
    often: bool = True


class NodState(State):
    seen: list[int] = msgspec.field(default_factory=list)


class Nod(Strategy[NodParams, NodState]):
    name = "nod"


class DeepNod(Nod):
    name = "deep_nod"


#: A method that is not the base's.
OVERRIDE: Any = Strategy.on_depth


class Looker(Nod):
    on_trade = on_bar = on_kline = OVERRIDE


class AggLooker(Looker):
    on_agg_trade = OVERRIDE


def test_which_method_takes_which_kind_is_told():
    of_trades = {"trade": ["on_bar", "on_trade"], "agg_trade": ["on_bar", "on_trade"], "kline": ["on_kline"]}
    assert methods_of(Looker) == of_trades
    assert methods_of(AggLooker) == of_trades | {"agg_trade": ["on_bar", "on_agg_trade"]}
    assert methods_of(Nod) == {}


@pytest.mark.parametrize("strategy_type", [Nod, DeepNod])
def test_a_strategy_knows_its_types_from_its_base(strategy_type):
    assert strategy_type.params_type is NodParams
    assert strategy_type.state_type is NodState
    assert strategy_type.create({"often": False}).params == NodParams(often=False)


def test_a_strategy_that_overrides_nothing_is_silent_and_needs_no_warm_up():
    nod = Nod.create({})
    assert feed(nod, book(), NodState()) == feed(nod, trade(), NodState()) == []
    assert nod.warmup == 0
    assert nod.migrate(0, {}) is None


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"ofen": True}, "unknown parameter 'ofen'; did you mean 'often'?"),
        ({"zzz": True}, "unknown parameter 'zzz'; known: min_signal_interval_s, notional, often"),
        ({"notional": 0}, "greater than 0"),
        ({"notional": float("inf")}, "finite"),
        ({"notional": float("nan")}, "finite"),
        ({"min_signal_interval_s": -1}, "greater than or equal to 0"),
    ],
)
def test_a_parameter_that_is_unknown_or_out_of_bounds_is_refused(params, said):
    with pytest.raises(ValidationError, match=said.replace("?", r"\?")):
        Nod.create(params)


def test_parameters_and_signals_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        NodParams().notional = 5  # type: ignore[misc]  # what is tested
    with pytest.raises(AttributeError):
        Signal(action="buy", confidence=1, price=1, current_price=1).price = 2  # type: ignore[misc]  # as above


def test_a_strategys_base_imports_nothing_but_events_bars_and_errors():
    """What a configuration or the engine knows of a strategy is kept with them, not here."""
    code = "import sys, tasks.strategy; print(*(name for name in sys.modules if name.partition('.')[0] == 'tasks'))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    bars = {"tasks.bars", "tasks.bars.bar", "tasks.bars.builder", "tasks.bars.spec"}
    assert set(shown.stdout.split()) <= {"tasks", "tasks.strategy", "tasks.events", "tasks.errors", *bars}


def test_two_states_share_nothing():
    NodState().seen.append(1)
    assert NodState().seen == []


# What follows holds for each built-in strategy, with windows short enough that a drawn market fills them.
SHORT: dict[str, dict[str, Any]] = {
    "depth_pressure": {"window_s": 0.5, "threshold": 0.1, "warmup_books": 0},
    "iceberg": {"refills": 1, "refill_s": 60, "steady_s": 1, "variation": 0.9, "level_interval_s": 0, "levels": 6},
    "market_dominance": {"window_s": 60, "jump": 1, "leader": "BTCUSDT", "others": ["BTCUSDT"]},
    "orderbook_skew": {"buy_ratio": 1.2, "sell_ratio": 0.8, "hold_s": 0.5, "max_spread_bps": 1000},
    "price_velocity": {"window_s": 5, "threshold": 0.1, "min_change": 0},
    "spread_liquidity": {
        "history": 4,
        "wide_ratio": 1.1,
        "leaving_ratio": 1.1,
        "leaving_reduction": 0,
        "velocity_per_s": 0.01,
        "wide_bps": 0.0,
    },
    "trade_momentum": {"window": 4, "half_life": 3, "flow_s": 5, "threshold": 0.2},
}
LONGEST: dict[str, dict[str, Any]] = {
    "depth_pressure": {},
    # With 200 levels it takes more, as its class says.
    "iceberg": {"levels": 10},
    "market_dominance": {},
    "orderbook_skew": {},
    "price_velocity": {"window_s": 120},
    "spread_liquidity": {"history": 100},
    "trade_momentum": {"window": 100, "flow_s": 60},
}
each_builtin = pytest.mark.parametrize("name", registry.builtin_names())
markets = st.one_of(books(), trades())


def run(name: str, events: list[AnyEvent], cuts: frozenset[int] = frozenset()) -> tuple[list[Signal], bytes]:
    """Return all signals and the packed last state; at each cut another process goes on with the packed state."""
    strategy = registry.create(name, SHORT[name])
    state, signals = strategy.state_type(), []
    for number, event in enumerate(events):
        if number in cuts:
            strategy = registry.create(name, SHORT[name])
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=strategy.state_type)
        signals += feed(strategy, event, state)
    return signals, msgspec.msgpack.encode(state)


@each_builtin
@given(events=markets, cuts=st.frozensets(st.integers(0, 60)))
def test_a_state_that_was_saved_and_restored_anywhere_goes_on_to_the_bit(name, events, cuts):
    assert run(name, events, cuts) == run(name, events)


@each_builtin
@given(events=markets)
def test_what_strategies_say_can_become_a_valid_signal(name, events):
    for signal in run(name, events)[0]:
        prices = (signal.price, signal.current_price, signal.stop_loss, signal.take_profit)
        assert 0 < signal.confidence <= 0.95
        assert all(price > 0 for price in prices if price is not None)
        assert signal.action in {"buy", "sell"}
        assert signal.rationale


@each_builtin
def test_a_state_packs_into_4_kib_however_long_the_market_goes_on(name):
    strategy = registry.create(name, LONGEST[name])
    state = strategy.state_type()
    for number in range(400):
        time_ms, size = TIME_MS + number * 1000, 1.1 + number / 7
        feed(strategy, book(((1999 - size, size),), time_ms=time_ms), state)
        feed(strategy, trade(100 + size, size, taker="sell" if number % 2 else "buy", time_ms=time_ms), state)
    assert len(msgspec.msgpack.encode(state)) <= 4096


@each_builtin
def test_a_new_state_has_a_default_for_every_field(name):
    state = registry.create(name, {}).state_type()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode({}), type=type(state)) == state


@each_builtin
def test_every_parameter_is_documented_and_its_default_within_its_bounds(name):
    params_type = registry.create(name, {}).params_type
    assert all(field.description for field in params_type.model_fields.values())
    assert params_type.model_validate(params_type().model_dump()) == params_type()


@pytest.mark.parametrize(
    "name", ["depth_pressure", "iceberg", "orderbook_skew", "price_velocity", "spread_liquidity", "trade_momentum"]
)
def test_the_drawn_markets_do_make_every_strategy_speak(name):
    # Guards the properties above against being true of silence.
    up_and_down = [1 + number % 5 for number in range(60)]
    market: list[AnyEvent] = [
        book(((2000 - size, 6.0 / size),), ((2000 + size, size),), time_ms=TIME_MS + 300 * number)
        for number, size in enumerate(up_and_down)
    ]
    market += [trade(100 + size, size, time_ms=TIME_MS + 300 * n) for n, size in enumerate(up_and_down)]
    assert run(name, market)[0]
