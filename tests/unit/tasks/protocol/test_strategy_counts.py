from tasks.protocol.counters import Counts, held_label
from tasks.protocol.strategy_counts import StrategyCounts, strategy_counts


def test_counts_are_gathered_by_strategy_whatever_else_was_counted():
    counts = Counts()
    counts.add("frames", by=9)
    counts.add("held", "cool_down", by=7)
    counts.add("signals", "iceberg", by=2)
    counts.add("errors", "iceberg")
    counts.add("strategy_held", held_label("my_package.mine:Mine", "cool_down"), by=3)
    counts.add("strategy_held", held_label("my_package.mine:Mine", "paused"))
    counts.add("strategy_ns", "iceberg", by=10_000)
    counts.add("strategy_events", "iceberg", by=4)
    assert strategy_counts(counts) == {
        "iceberg": StrategyCounts(signals=2, errors=1, events=4, spent_ns=10_000),
        "my_package.mine:Mine": StrategyCounts(held={"cool_down": 3, "paused": 1}),
    }


def test_the_mean_time_is_that_of_the_timed_events_and_none_without_any():
    assert StrategyCounts(events=4, spent_ns=10_000).event_us == 2.5
    assert StrategyCounts(signals=1).event_us is None


def test_what_no_strategy_is_named_in_belongs_to_none():
    assert strategy_counts(Counts.read({b"signals": b"3", b"odd:iceberg": b"1", b"repeats": b"2"})) == {}
