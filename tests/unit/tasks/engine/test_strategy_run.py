"""The runner's promises of `Strategy`, one strategy and one state at a time: what is restored, dropped, rebuilt."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.configuration.gate import OPEN
from tasks.engine import RunOptions, strategy_run
from tasks.engine.gate_history import HOUR_MS
from tasks.engine.strategy_run import NewerStateError, StrategyRun
from tasks.fatal_errors import IsFatal, is_fatal
from tasks.strategy import AnyStrategy
from tests.support.events import TIME_MS, book, trade
from tests.support.strategies import (
    BAD,
    Calm,
    Chatty,
    Clueless,
    Echo,
    Grumpy,
    Moody,
    Raising,
    Together,
    TradeTotals,
    Version2,
    Warming,
    Worker,
    read_state,
    trades,
)


class Starved(Version2):
    """Finds no memory for a state of the version before."""

    def migrate(self, *_):
        raise MemoryError


def start(strategy: AnyStrategy, packed: bytes | None = None, is_fatal: IsFatal = is_fatal) -> StrategyRun:
    return StrategyRun(strategy, OPEN, packed, "c1", is_fatal)


def test_a_state_that_was_never_saved_is_the_strategys_first_one():
    _, seen, signalled, inner = read_state(start(Echo.create({})).pack())
    assert (seen, signalled, inner) == (0, [{}, {}], {"total": 0.0, "ids": []})


def test_a_state_is_what_the_last_event_left_even_in_another_process():
    first = start(Echo.create({}))
    first.apply(trades(2.0)[0])
    second = start(Echo.create({}), first.pack())
    packed = second.apply(trades(3.0, start=2)[0]).signals
    assert msgspec.json.decode(packed[0])["indicators"] == {"total": 5.0}


def test_warm_up_drops_the_signals_of_the_first_events_and_no_others():
    run = start(Warming.create({}))
    assert [len(run.apply(event).signals) for event in trades(1, 1, 1, 1, 1)] == [0, 0, 0, 1, 1]


def test_warm_up_goes_on_where_the_last_batch_left_it():
    run = start(Warming.create({}))
    for event in trades(1, 1):
        run.apply(event)
    run = start(Warming.create({}), run.pack())
    assert [len(run.apply(event).signals) for event in trades(1, 1, start=3)] == [0, 1]


def test_an_event_that_raised_does_not_warm_up():
    class WarmingGrump(Grumpy):
        warmup = 2

    worker = Worker(WarmingGrump.create({}))
    worker.run(trades(BAD, 1, BAD, 1, 1))
    assert len(worker.signals) == 1


@pytest.mark.parametrize(
    ("times_ms", "passed"),
    [
        ([0, 4_999, 5_000], [1, 0, 1]),
        ([0, 3_000, 6_000, 9_000, 12_000], [1, 0, 1, 0, 1]),  # counted from the last that went out
        ([0, -2_000, 4_999, 5_000], [1, 0, 0, 1]),  # a small step back counts as no time
        ([0, -4_000, 999, 1_000], [1, 0, 0, 1]),  # after a larger one it restarts
        ([0, -5_000, -1, 0], [1, 1, 0, 1]),  # after one of its own length it is over
        ([0, 0], [1, 0]),
    ],
)
def test_cool_down_lets_the_first_of_each_interval_pass(times_ms, passed):
    run = start(Echo.create({"min_signal_interval_s": 5}))
    events = [trade(id=n, time_ms=TIME_MS + ms) for n, ms in enumerate(times_ms)]
    assert [len(run.apply(event).signals) for event in events] == passed


def test_cool_down_outlives_the_batch():
    run = start(Echo.create({"min_signal_interval_s": 5}))
    run.apply(trade(time_ms=TIME_MS))
    run = start(Echo.create({"min_signal_interval_s": 5}), run.pack())
    assert run.apply(trade(id=2, time_ms=TIME_MS + 4_000)).signals == []


def test_without_an_interval_events_of_the_same_millisecond_all_speak():
    run = start(Echo.create({}))
    assert [len(run.apply(trade(id=n, time_ms=TIME_MS + back)).signals) for n, back in enumerate([0, 0, -500])] == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize("interval_s", [0, 5])
def test_an_event_gives_only_the_first_signal_of_each_symbol_and_action(interval_s):
    run = start(Chatty.create({"min_signal_interval_s": interval_s}))
    packed = run.apply(trades(1)[0]).signals
    spoken = [msgspec.json.decode(each) for each in packed]
    assert [(each["symbol"], each["action"], each["confidence"]) for each in spoken] == [
        ("BTCUSDT", "buy", 0.5),
        ("BTCUSDT", "sell", 0.5),
        ("OTHER", "buy", 0.5),
    ]


def test_a_book_goes_to_on_depth_and_a_trade_to_on_trade():
    class Both(Echo):
        def on_depth(self, book, state):
            state.ids.append(-book.id)
            return ()

    run = start(Both.create({}))
    run.apply(book(id=1))
    run.apply(trade(id=2))
    assert read_state(run.pack())[3]["ids"] == [-1, 2]


def test_a_rebuilt_state_is_the_one_before_the_event_that_raised():
    run, clean = start(Grumpy.create({})), start(Grumpy.create({}))
    for event in trades(1, 2):
        run.apply(event)
        clean.apply(event)
    with pytest.raises(ValueError, match="a bad trade"):
        run.apply(trades(BAD, start=3)[0])
    run.rebuild(trades(BAD, start=3)[0])
    assert run.pack() == clean.pack()


def test_events_that_all_raise_cost_one_call_each():
    strategy = Raising.create({})
    Worker(strategy).run(trades(*[BAD] * 200))
    assert strategy.calls == 200


@given(st.lists(st.sampled_from([1.0, BAD]), max_size=60))
def test_no_event_is_given_to_a_strategy_more_than_twice(quantities):
    """This holds however many events raise."""
    strategy = Raising.create({})
    Worker(strategy).run(trades(*quantities))
    assert strategy.calls <= 2 * len(quantities)


def test_a_rebuild_that_raises_too_empties_the_state_and_goes_on():
    strategy = Moody.create({})
    worker = Worker(strategy)
    worker.run(trades(1, 1, BAD, 1))
    assert len(worker.letters) == 1
    passed = [{"BTCUSDT buy": TIME_MS + 4000}, {"BTCUSDT": [TIME_MS // HOUR_MS, 1]}]
    assert worker.state(strategy)[1:] == [1, passed, {"total": 1.0, "ids": [4]}]


@pytest.mark.parametrize("when", ["error", "error_when_rebuilt"])
def test_a_fatal_error_comes_through_also_from_a_rebuild(when):
    strategy = Raising.create({})
    setattr(strategy, when, MemoryError())
    worker = Worker(strategy, options=RunOptions(is_fatal=lambda error: isinstance(error, MemoryError)))
    with pytest.raises(MemoryError):
        worker.run(trades(1, BAD))


def test_a_fatal_error_comes_through_from_a_migration():
    packed = start(Echo.create({})).pack()
    with pytest.raises(MemoryError):
        start(Starved.create({}), packed, lambda _: True)


def test_what_a_migration_raises_itself_starts_from_an_empty_state():
    run = start(Starved.create({}), start(Echo.create({})).pack())
    assert run.unreadable.startswith("MemoryError")


def test_a_state_from_the_future_is_refused():
    packed = start(Version2.create({})).pack()
    with pytest.raises(NewerStateError, match="echo: state of version 2, code of 1"):
        start(Echo.create({}), packed)


def test_an_older_state_is_migrated_with_its_warm_up_and_cool_down():
    old = start(Echo.create({"min_signal_interval_s": 5}))
    old.apply(trade(quantity=2.0, id=7, time_ms=TIME_MS))
    new = start(Version2.create({"min_signal_interval_s": 5}), old.pack())
    assert read_state(new.pack()) == [
        2,
        1,
        [{"BTCUSDT buy": TIME_MS}, {"BTCUSDT": [TIME_MS // HOUR_MS, 1]}],
        {"total": 2000.0, "ids": [7]},
    ]


class Other(Echo):
    """A state of Echo's version that Echo's code can't read."""

    def on_trade(self, _, state):
        state.total = "much"
        return ()


def test_a_state_that_cannot_be_migrated_or_read_restarts_with_a_warm_up():
    old, unreadable = start(Echo.create({})), start(Other.create({}))
    old.apply(trade(id=7))
    unreadable.apply(trade(id=7))
    fresh = [0, [{}, {}], {"total": 0.0, "ids": []}]
    assert read_state(start(Clueless.create({}), old.pack()).pack()) == [2, *fresh]
    assert read_state(start(Echo.create({}), unreadable.pack()).pack()) == [1, *fresh]


def test_states_are_named_by_venue_symbol_and_strategy():
    """Those keyed by all share one state a venue."""
    assert strategy_run.field("spot", "BTCUSDT", Echo.create({})) == "state:spot:BTCUSDT:echo"
    assert strategy_run.field("spot", "ETHUSDT", Together.create({})) == "state:spot:all:together"
    assert strategy_run.field("usdm", "BTCUSDT", Together.create({})) == "state:usdm:all:together"


def test_two_states_of_one_strategy_share_nothing():
    strategy = Echo(Calm())
    one, two = start(strategy), start(strategy)
    one.apply(trade(quantity=3.0))
    assert read_state(two.pack())[3] == msgspec.to_builtins(TradeTotals())


@given(st.integers(min_value=0), st.integers(0, 7))
def test_a_state_of_which_a_bit_has_changed_is_not_gone_on_with(where, bit):
    run = start(Echo.create({}))
    run.apply(trade(id=7))
    packed = run.pack()
    at = where % len(packed)
    again = start(Echo.create({}), packed[:at] + bytes((packed[at] ^ 1 << bit,)) + packed[at + 1 :])
    assert again.unreadable
    assert read_state(again.pack()) == read_state(start(Echo.create({})).pack())


def test_states_of_releases_without_checksums_are_gone_on_with():
    """Those of a strategy without bars had four elements, or five."""
    run = start(Echo.create({}))
    run.apply(trade(id=7))
    saved = read_state(run.pack())
    for old in (saved, [*saved, {}]):
        again = start(Echo.create({}), msgspec.msgpack.encode(old))
        assert (again.unreadable, again.pack()) == ("", run.pack())


class OldSavedState(msgspec.Struct, array_like=True):
    """What release 1.0.0 reads of a state where today's code of the strategy can't read it in one go."""

    version: int
    seen: int
    passed: msgspec.Raw
    state: msgspec.Raw


def test_a_release_without_checksums_reads_a_state_that_has_one():
    run = start(Echo.create({}))
    run.apply(trade(id=7))
    read = msgspec.msgpack.decode(run.pack(), type=OldSavedState)
    assert [read.version, read.seen, msgspec.msgpack.decode(read.state)] == [1, 1, {"total": 1.0, "ids": [7]}]
