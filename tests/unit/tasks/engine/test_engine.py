"""The engine: a batch in, what it leaves behind out."""

from itertools import count

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tasks import engine
from tasks.events import Position
from tasks.protocol import dead_letters, records
from tasks.strategy import AnyStrategy
from tests.support.events import TIME_MS, trade
from tests.support.strategies import BAD, Echo, Grumpy, Together, Warming, Worker, Wrong, bound, cut, feeds, trades


def everybody() -> list[AnyStrategy]:
    return [Echo.create({"min_signal_interval_s": 1}), Grumpy.create({}), Warming.create({}), Wrong.create({})]


def test_every_event_goes_to_every_strategy_once_and_in_order():
    echo, together = Echo.create({}), Together.create({})
    worker = Worker(echo, together)
    worker.run(trades(1, 1, 1))
    assert worker.state(echo)[3]["ids"] == worker.state(together, "all")[3]["ids"] == [1, 2, 3]


def test_signals_come_in_the_order_of_events_then_of_strategies():
    worker = Worker(Together.create({}), Echo.create({}))
    worker.run(trades(1, 1))
    assert [(signal["trigger"]["id"], signal["strategy"]) for signal in worker.spoken()] == [
        (1, "together"),
        (1, "echo"),
        (2, "together"),
        (2, "echo"),
    ]


def test_signals_are_counted_by_strategy_and_action():
    """Those of an event on which the strategy raised are not counted."""
    outcome = Worker(Echo.create({}), Grumpy.create({})).run(trades(1, BAD, 1))
    assert outcome.actions == {("echo", "buy"): 3, ("grumpy", "buy"): 2}


def test_with_a_clock_each_strategy_has_its_time_and_without_one_none():
    # It ticks once after each strategy, and once before the first: 10 ns a strategy and event.
    ticks = count(step=10)
    strategies = bound(Echo.create({}), Grumpy.create({}))
    timed = engine.BatchRun("p", "s", strategies, "c1", {}, engine.RunOptions(lambda: next(ticks))).finish(
        trades(1, BAD, 1)
    )
    untimed = engine.BatchRun("p", "s", strategies, "c1", {}).finish(trades(1, BAD, 1))
    assert timed.spent_ns == {"echo": 30, "grumpy": 30}
    assert untimed.spent_ns == {"echo": 0, "grumpy": 0}
    assert timed.fields == untimed.fields


def test_a_strategy_keyed_by_all_sees_all_symbols_in_one_state():
    together = Together.create({})
    worker = Worker(together)
    worker.run([trade(symbol="BTCUSDT", seq=1, id=1), trade(symbol="ETHUSDT", seq=2, id=1)])
    assert worker.state(together, "all")[3]["ids"] == [1, 1]
    assert sum(name.startswith("state:") for name in worker.held) == 1


def test_fields_names_each_record_and_state_once():
    strategies = bound(Echo.create({}), Together.create({}))
    events = [*trades(1, 1), trade(symbol="ETHUSDT")]
    assert sorted(engine.fields(events, strategies)) == [
        "record:spot:BTCUSDT:trade",
        "record:spot:ETHUSDT:trade",
        "state:spot:BTCUSDT:echo",
        "state:spot:ETHUSDT:echo",
        "state:spot:all:together",
    ]


@given(feeds(), st.lists(st.integers(0, 40)))
def test_the_places_where_a_feed_is_cut_into_batches_change_nothing(events, places):
    whole, parts = Worker(*everybody()), Worker(*everybody())
    whole.run(events)
    for batch in cut(events, places):
        parts.run(batch)
    assert (parts.signals, parts.held, parts.audit) == (whole.signals, whole.held, whole.audit)
    assert [letter.event for letter in map(dead_letters.unpack, parts.letters)] == [
        letter.event for letter in map(dead_letters.unpack, whole.letters)
    ]


@given(feeds(), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6))
def test_batches_that_come_again_change_nothing(events, again):
    once, often = Worker(*everybody()), Worker(*everybody())
    once.run(events)
    fed = 0
    for first, length in sorted(again, key=sum):
        # Whatever overlaps with what was fed before, and leaves no hole before it.
        batch = events[min(first, fed) : first + length]
        often.run(batch)
        fed = max(fed, first + length if batch else 0)
    often.run(events)
    assert (often.signals, often.held, often.audit) == (once.signals, once.held, once.audit)


def test_repeats_of_the_feed_are_counted_and_given_to_nobody():
    echo = Echo.create({})
    worker = Worker(echo)
    outcome = worker.run([trade(id=5, seq=1), trade(id=5, seq=2), trade(id=4, seq=3), trade(id=8, seq=4)])
    assert outcome.counts.stored() == {"applied": 2, "repeats": 2, "gaps": 2, "signals:echo": 2}
    assert worker.state(echo)[3]["ids"] == [5, 8]


def test_a_repeat_of_the_feed_that_is_run_again_is_not_counted_twice():
    worker = Worker(Echo.create({}))
    batch = [trade(id=5, seq=1), trade(id=5, seq=2)]
    assert [worker.run(batch).counts.of("repeats") for _ in range(2)] == [1, 0]
    assert records.unpack(worker.held["record:spot:BTCUSDT:trade"]).applied == Position("s", 2)


def test_what_is_known_already_is_not_counted_again():
    worker = Worker(Echo.create({}))
    worker.run(trades(1, 1))
    outcome = worker.run(trades(1, 1))
    assert outcome.counts.stored() == {}
    assert outcome.signals == outcome.letters == outcome.audit == []


def test_the_audit_names_each_records_first_event_per_configuration():
    worker = Worker(Echo.create({}))
    worker.run([*trades(1, 1), trade(symbol="ETHUSDT", id=9, seq=3)])
    worker.configuration = "c2"
    worker.run([trade(id=2, seq=4), *trades(1, start=5)])  # a repeat first: it is not processed
    lines = [msgspec.json.decode(line) for line in worker.audit]
    assert [(line["config_version"], line["symbol"], line["id"]) for line in lines] == [
        ("c1", "BTCUSDT", 1),
        ("c1", "ETHUSDT", 9),
        ("c2", "BTCUSDT", 5),
    ]
    assert lines[0] == {
        "config_version": "c1",
        "pool": "trade",
        "venue": "spot",
        "symbol": "BTCUSDT",
        "kind": "trade",
        "id": 1,
        "time_ms": TIME_MS + 1000,
    }


def test_nothing_is_kept_from_one_run_to_the_next():
    strategies = everybody()
    first, second = Worker(*strategies), Worker(*strategies)
    first.run(trades(1, 2, BAD, 4, 5))
    second.run(trades(1, 2, BAD, 4, 5))
    assert (second.signals, second.held) == (first.signals, first.held)
