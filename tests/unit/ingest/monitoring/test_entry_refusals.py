"""Entries of queues that workers refuse, from the ledger's counters."""

from ingest.monitoring.entry_refusals import TOLD_S, EntryRefusals
from tasks.protocol.counters import Counts


def counters(**refused: int) -> Counts:
    counts = Counts()
    for queue, count in refused.items():
        counts.add("entries_refused", queue, by=count)
    return counts


def found(refusals: EntryRefusals, now_s: float) -> list[str]:
    return [finding.what for finding in refusals.findings(now_s)]


def test_what_was_refused_before_the_first_look_is_no_news():
    refusals = EntryRefusals()
    refusals.take(counters(trade=7), 0)
    refusals.take(counters(trade=7), 3)
    assert found(refusals, 3) == []


def test_a_refusal_is_told_of_by_queue_for_ten_minutes():
    refusals = EntryRefusals()
    refusals.take(counters(trade=7), 0)
    refusals.take(counters(trade=8, depth=1), 3)
    assert found(refusals, 3) == ["queue depth", "queue trade"]
    refusals.take(counters(trade=9, depth=1), 60)
    assert found(refusals, 3 + TOLD_S) == ["queue trade"]
    assert found(refusals, 60 + TOLD_S) == []


def test_counters_that_were_removed_begin_at_none():
    refusals = EntryRefusals()
    refusals.take(counters(trade=7), 0)
    refusals.take(counters(), 3)
    assert found(refusals, 3) == []
    refusals.take(counters(trade=1), 6)
    assert found(refusals, 6) == ["queue trade"]


def test_entries_of_no_queue_of_the_worker_are_told_of_together():
    refusals = EntryRefusals()
    refusals.take(counters(), 0)
    refusals.take(counters(other=1), 3)
    [finding] = refusals.findings(3)
    assert (finding.what, finding.name, finding.sign) == ("broker", "entry_refused", "warning")


def test_what_a_ledger_counted_while_it_was_long_silent_is_no_news():
    refusals = EntryRefusals()
    refusals.take(counters(trade=7), 0)
    refusals.take(counters(trade=9), 3, ledger=1)
    assert found(refusals, 3) == []
    refusals.take(counters(trade=10), 3 + TOLD_S, ledger=1)
    assert found(refusals, 3 + TOLD_S) == []
    refusals.take(counters(trade=11), 6 + TOLD_S, ledger=1)
    assert found(refusals, 6 + TOLD_S) == ["queue trade"]
