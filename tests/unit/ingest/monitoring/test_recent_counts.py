from ingest.monitoring.recent_counts import MINUTE_S, RecentCounts
from tasks.protocol.counters import CounterKey, Counts

BOOM = CounterKey("errors", "boom")


def boom(count: int) -> Counts:
    return Counts({BOOM: count})


def test_a_minute_of_samples_is_kept_and_no_more():
    recent = RecentCounts("errors")
    for second in range(1_000):
        recent.take(Counts({CounterKey("errors", "boom"): second}), float(second))
    assert recent.last_minute(999.0) == {CounterKey("errors", "boom"): 60}
    assert len(recent._samples[0]) == 61


def test_only_the_named_counters_are_kept():
    recent, counts = RecentCounts("strategy_ns"), Counts()
    recent.take(counts, 0.0)
    counts.add("strategy_ns", "iceberg", by=5_000)
    counts.add("errors", "iceberg")
    recent.take(counts, 3.0)
    assert recent.last_minute(3.0) == {CounterKey("strategy_ns", "iceberg"): 5_000}


def test_ledgers_are_counted_each_by_itself():
    recent = RecentCounts("errors")
    for ledger, count in ((0, 100), (1, 7)):
        recent.take(boom(count), 0.0, ledger)
    recent.take(boom(103), 3.0)
    recent.take(boom(2), 3.0, 1)
    assert recent.last_minute(3.0) == recent.since(0.0) == boom(3 + 2)
    recent.take(boom(900), 6.0, 2)
    assert recent.last_minute(6.0) == boom(5), "what a ledger had counted before its first sample is no rise"


def test_what_a_ledger_tells_after_more_than_a_minute_is_not_of_the_last():
    recent, back_s = RecentCounts("errors"), 3.0 + MINUTE_S + 0.1
    for ledger in (0, 1):
        recent.take(boom(0), 3.0, ledger)
    for at_s in (30.0, 60.0):
        recent.take(boom(1), at_s, 0)
    recent.take(boom(500), back_s, 1)
    assert recent.last_minute(back_s) == recent.since(0.0) == boom(1)
    recent.take(boom(501), back_s + 3, 1)
    assert recent.last_minute(back_s + 3) == boom(2)


def test_an_answer_that_is_taken_again_is_no_sign_of_life():
    recent = RecentCounts("errors")
    for count, at_s in ((0, 0.0), (5, 3.0), (5, 3.0), (0, 2.0)):
        recent.take(boom(count), at_s)
    assert recent.last_minute(3.0 + MINUTE_S) == boom(5)
    assert recent.last_minute(3.1 + MINUTE_S) == Counts()
