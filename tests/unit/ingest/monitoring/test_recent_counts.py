from ingest.monitoring.recent_counts import RecentCounts
from tasks.protocol.counters import CounterKey, Counts


def test_a_minute_of_samples_is_kept_and_no_more():
    recent = RecentCounts("errors")
    for second in range(1_000):
        recent.take(Counts({CounterKey("errors", "boom"): second}), float(second))
    assert recent.last_minute(999.0) == {CounterKey("errors", "boom"): 60}
    assert len(recent._samples) == 61


def test_only_the_named_counters_are_kept():
    recent, counts = RecentCounts("strategy_ns"), Counts()
    recent.take(counts, 0.0)
    counts.add("strategy_ns", "iceberg", by=5_000)
    counts.add("errors", "iceberg")
    recent.take(counts, 3.0)
    assert recent.last_minute(3.0) == {CounterKey("strategy_ns", "iceberg"): 5_000}
