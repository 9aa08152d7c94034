"""A strategy of bars in the engine: the same bars wherever batches end, whatever raises, and nothing without bars."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.bars import bars
from tasks.configuration.gate import OPEN
from tasks.engine import RunOptions
from tasks.engine.strategy_run import StrategyRun
from tasks.events import Trade
from tasks.fatal_errors import is_fatal
from tasks.protocol.strikes import ExcludedEvents
from tasks.strategy import AnyStrategy, Strategy
from tests.support.events import book, trade
from tests.support.strategies import Calm, Echo, Worker, cut, trades
from tests.support.strategies.bars import BAD, BarEcho, BarMemory, BarsOfAll, GrumpyOnBars, aggregate, trades_of

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def of(strategy_type: type[AnyStrategy] = BarEcho, *texts: str) -> AnyStrategy:
    return strategy_type.create({"bars": texts} if texts else {})


def told(worker: Worker) -> list[tuple[str, dict[str, float]]]:
    """Return the spec and the numbers of each bar that was signalled."""
    return [(each["rationale"], each["indicators"]) for each in worker.spoken()]


def numbers(made: list[Trade], spec: str) -> list[dict[str, float]]:
    """Return the numbers of each bar, as the strategy says them."""
    builtins = [msgspec.structs.asdict(each) for each in bars(made, spec)]
    return [{name: float(it) for name, it in each.items() if isinstance(it, int | float)} for each in builtins]


@given(trades_of())
def test_a_strategy_is_given_the_bars_of_its_trades(made: list[Trade]):
    worker = Worker(strategy := of(BarEcho, "1m"))
    worker.run(made)
    assert [each for _, each in told(worker)] == numbers(made, "1m")
    if made:
        assert [call for call in worker.state(strategy)[3]["calls"] if " trade " in call] == [
            f"BTCUSDT trade {each.id}" for each in made
        ]


@pytest.mark.parametrize("strategy_type", [BarEcho, BarsOfAll])
@given(trades_of(SYMBOLS), st.lists(st.integers(1, 60), max_size=8))
def test_bars_are_the_same_wherever_batches_end(strategy_type, made: list[Trade], places: list[int]):
    """Each batch is run by a new process, from what the one before stored."""
    whole, parts = Worker(of(strategy_type)), Worker(of(strategy_type))
    whole.run(made)
    for batch in cut(made, places):
        parts.run(batch)
    assert parts.signals == whole.signals
    assert parts.held == whole.held


@given(trades_of(SYMBOLS))
def test_a_batch_that_is_run_twice_gives_its_bars_once(made: list[Trade]):
    """A worker is killed before its commit, or a copy comes after it."""
    once, again = Worker(of()), Worker(of())
    once.run(made)
    half = len(made) // 2
    again.run(made[:half])
    before = dict(again.held), list(again.signals)
    again.run(made[half:])
    again.held.clear()
    again.held.update(before[0])
    again.signals[:] = before[1]
    again.run(made[half:])
    again.run(made)
    assert (again.signals, again.held) == (once.signals, once.held)


def test_the_bars_that_a_trade_closes_come_before_it_in_their_order():
    made = trades(1, 1, 1, step_ms=60_000)
    worker = Worker(strategy := of(BarEcho, "2tick", "1m"))
    worker.run(made)
    calls = [call.split()[1] for call in worker.state(strategy)[3]["calls"]]
    assert calls == ["trade", "2tick", "1m", "trade", "1m", "trade"]


def test_a_signal_of_a_bar_answers_the_trade_that_closed_it():
    """Of two bars that say the same at one trade, the first is heard: ids are unique."""
    worker = Worker(of(BarEcho, "2tick", "1m"))
    worker.run(trades(1, 1, 1, step_ms=60_000))
    assert [(each["trigger"]["id"], each["rationale"]) for each in worker.spoken()] == [(2, "2tick"), (3, "1m")]
    assert {each["trigger"]["kind"] for each in worker.spoken()} == {"trade"}


def test_aggregate_trades_and_books_reach_the_strategys_own_methods():
    class Both(BarEcho):
        def on_depth(self, _, state):
            state.calls.append("depth")
            return ()

        def on_agg_trade(self, trade, state):
            state.calls.append(f"agg {trade.id}")
            return ()

    worker = Worker(strategy := of(Both, "3tick"))
    worker.run([aggregate(1, 2, id=1, seq=1), book(seq=2), aggregate(3, 3, id=2, seq=3)])
    assert [call.split()[0] for call in worker.state(strategy)[3]["calls"]] == ["agg", "depth", "BTCUSDT", "agg"]


def test_a_strategy_keyed_by_all_has_the_bars_of_each_symbol():
    made = [trade(id=n, seq=2 * n + k, symbol=name) for n in range(1, 4) for k, name in enumerate(SYMBOLS)]
    worker = Worker(strategy := of(BarsOfAll, "2tick"))
    worker.run(made)
    calls = worker.state(strategy, "all")[3]["calls"]
    assert [call.split()[0] for call in calls if " 2tick " in call] == ["BTCUSDT", "ETHUSDT"]
    assert worker.state(strategy, "all")[4].keys() == set(SYMBOLS)


def test_warm_up_counts_events_and_no_bars():
    class Warming(BarEcho):
        warmup = 4

    worker = Worker(of(Warming, "1tick"))
    worker.run(trades(1, 1, 1, 1, 1, 1))
    assert [each["trigger"]["id"] for each in worker.spoken()] == [5, 6]


def test_a_bar_that_is_no_longer_asked_for_is_dropped_and_a_new_one_begins():
    first, then = Worker(of(BarEcho, "1m", "4tick")), Worker(of(BarEcho, "4tick", "1h"))
    made = trades(*[1] * 6, step_ms=10_000)
    first.run(made[:2])
    then.held.update(first.held)
    then.run(made[2:])
    assert [(spec, it["trades"]) for spec, it in told(then)] == [("4tick", 4)]
    assert then.state(of())[4]["BTCUSDT"].keys() == {"4tick", "1h"}


def test_without_bars_a_state_is_stored_as_before():
    """Also where the strategy had bars until now; the state itself goes on."""

    class Quiet(Strategy[Calm, BarMemory]):
        name = "bar_echo"

        def on_trade(self, _, state):
            state.calls.append("quiet")
            return ()

    with_bars, without = Worker(of(BarEcho, "1m")), Worker(strategy := Quiet.create({}))
    with_bars.run(trades(1, 1))
    assert len(with_bars.state(strategy)) == 5
    without.held.update(with_bars.held)
    without.run(trades(1, start=3))
    assert without.state(strategy) == [1, 3, [{}, {}], {"calls": ["BTCUSDT trade 1", "BTCUSDT trade 2", "quiet"]}]
    plain = Worker(echo := Echo.create({}))
    plain.run(trades(1))
    assert [len(plain.state(echo)), plain.state(echo)[0]] == [4, 1]


def test_a_state_that_had_no_bars_gets_them():
    without, with_bars = Worker(Echo.create({})), Worker(of(BarEcho, "1m"))
    without.run(trades(1))
    packed = msgspec.msgpack.encode([1, 1, [{}, {}], {"calls": ["before"]}])
    with_bars.held.update(without.held | {"state:spot:BTCUSDT:bar_echo": packed})
    with_bars.run(trades(1, start=2))
    state = with_bars.state(of())
    assert (state[1], state[3]["calls"]) == (2, ["before", "BTCUSDT trade 2"])
    assert with_bars.letters == []


def test_an_older_state_is_migrated_and_its_bars_go_on():
    class Later(BarEcho):
        version = 2

        def migrate(self, _, state):
            return BarMemory(calls=[*state["calls"], "migrated"])

    old, new = Worker(of(BarEcho, "3tick")), Worker(of(Later, "3tick"))
    made = trades(1, 1, 1)
    old.run(made[:2])
    new.held.update(old.held)
    new.run(made[2:])
    assert [it["trades"] for _, it in told(new)] == [3]


def test_a_bar_on_which_a_strategy_raises_is_not_given_again():
    """Its trade is the dead letter; it counts in the bars, which are those of the market."""
    made = [
        trade(price, id=n, seq=n, time_ms=n * 60_000)
        for n, price in enumerate([100.0, BAD, 100.0, 101.0, 102.0], start=1)
    ]
    worker = Worker(strategy := of(GrumpyOnBars, "1m"))
    worker.run(made)
    assert [each["trigger"]["id"] for each in worker.spoken()] == [2, 4, 5]
    assert len(worker.letters) == 1
    calls = [call for call in worker.state(strategy)[3]["calls"] if " trade " in call]
    assert calls == [f"BTCUSDT trade {n}" for n in (1, 2, 4, 5)]
    assert [it for _, it in told(worker)] == [it for it in numbers(made, "1m") if it["open"] != BAD]


class GrumpyOnTrades(BarEcho):
    """Raises on bad trades."""

    name = "grumpy_on_trades"

    def on_trade(self, trade, state):
        if trade.quantity == BAD:
            raise ValueError
        return super().on_trade(trade, state)


@given(st.lists(st.sampled_from([1.0, 2.0, BAD]), max_size=40), st.lists(st.integers(1, 40), max_size=6))
def test_a_rebuilt_state_has_the_bars_of_every_trade(quantities: list[float], places: list[int]):
    """Of those that raised, too, and however the batches are cut."""
    made = trades(*quantities, step_ms=20_000)
    whole, parts = Worker(of(GrumpyOnTrades, "1m", "3tick")), Worker(of(GrumpyOnTrades, "1m", "3tick"))
    whole.run(made)
    for batch in cut(made, places):
        parts.run(batch)
    assert (parts.signals, parts.held, len(parts.letters)) == (whole.signals, whole.held, len(whole.letters))
    clean = Worker(of(BarEcho, "1m", "3tick"))
    clean.run(made)
    if made:
        assert whole.state(of(GrumpyOnTrades))[4] == clean.state(of())[4]
    bad = {each.id for each in made if each.quantity == BAD}
    heard = [each["indicators"] for each in clean.spoken() if each["trigger"]["id"] not in bad]
    assert [each["indicators"] for each in whole.spoken()] == heard


def test_an_event_that_a_strategy_is_not_given_counts_in_its_bars():
    """It ended the strategy's process before."""
    made = trades(1, 2, 3, 4)
    excluded = ExcludedEvents(events=frozenset({("bar_echo", 2)}))
    worker = Worker(strategy := of(BarEcho, "4tick"), options=RunOptions(excluded=excluded))
    worker.run(made[:3])
    worker.run(made[3:])
    assert [it["volume"] for _, it in told(worker)] == [10]
    assert worker.state(strategy)[1] == 3
    assert len(worker.letters) == 1


def test_bars_that_can_not_be_read_start_again_with_a_dead_letter():
    worker = Worker(strategy := of(BarEcho, "2tick"))
    packed = msgspec.msgpack.encode([1, 5, [{}, {}], {"calls": []}, {"BTCUSDT": {"2tick": [1, "much"]}}])
    worker.held["state:spot:BTCUSDT:bar_echo"] = packed
    worker.run(trades(1, 1))
    assert len(worker.letters) == 1
    assert worker.state(strategy)[1] == 2
    assert [it["trades"] for _, it in told(worker)] == [2]


def test_nothing_stands_between_the_engine_and_a_strategy_without_bars():
    """No event costs it more."""
    run = StrategyRun(strategy := Echo.create({}), OPEN, None, "c1", is_fatal)
    run.apply(trade(id=1))
    assert run._hook_of == {"trade": strategy.on_trade}
