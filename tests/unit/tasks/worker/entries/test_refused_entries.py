"""What a worker does with entries of its queue that it refuses."""

from structlog.testing import capture_logs

from tasks.protocol import dead_letters
from tasks.protocol.counters import OTHER_QUEUES, CounterKey
from tasks.protocol.queue_entry import RefusedEntry
from tasks.worker.entries.refused_entries import MAX_KEPT, WITHIN_S, RefusedEntries


def test_a_refused_entry_is_logged_and_kept_with_queue_reason_and_bytes():
    kept: list[tuple[bytes, CounterKey]] = []
    with capture_logs() as logged:
        RefusedEntries().add(lambda *each: kept.append(each), RefusedEntry("trade", "not ours", b"[]"))
    [(packed, counter)] = kept
    letter = dead_letters.unpack(packed)
    # Of a queue that this process does not serve.
    assert counter == CounterKey("entries_refused", OTHER_QUEUES)
    assert (letter.reason, letter.refusal, letter.detail) == ("refused", "queue_entry", "not ours")
    assert (letter.pool, letter.raw) == ("trade", b"[]")
    assert [(line["queue"], line["why"], line["bytes"]) for line in logged] == [("trade", "not ours", 2)]


def test_a_flood_of_refusals_fills_neither_the_log_nor_the_dead_letters():
    kept: list[tuple[bytes, CounterKey]] = []
    now_s = 0.0
    entries = RefusedEntries(lambda: now_s)
    with capture_logs() as logged:
        for _ in range(3 * MAX_KEPT):
            entries.add(lambda *each: kept.append(each), RefusedEntry("trade", "not ours", b"[]"))
    assert (len(kept), len(logged)) == (MAX_KEPT, 1)
    now_s = WITHIN_S + 1
    entries.add(lambda *each: kept.append(each), RefusedEntry("trade", "not ours", b"[]"))
    assert len(kept) == MAX_KEPT + 1
