"""What a record makes of each event: was here before, a repeat of the feed, or new."""

import hashlib
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.events import NO_ID, AnyEvent, Position
from tasks.protocol import records
from tasks.protocol.records import NEW_GENERATION_MS, Record
from tests.support.events import TIME_MS, book, trade
from tests.support.strategies import feeds


def standing(id: int = 10, seq: int = 5) -> Record:  # noqa: A002 the event's own name
    """Return a record that stands at this event of the source "s"."""
    record = Record()
    record.take(trade(id=id, seq=seq), "s")
    return record


def test_the_first_event_is_new_whatever_its_id():
    assert Record().classify(trade(id=0), "s") == "new"


@pytest.mark.parametrize(
    ("id_", "later_ms", "verdict"),
    [
        (11, 0, "new"),
        (11, -5_000, "new"),  # ids, not times, give the order
        (10, 0, "repeat"),
        (9, 0, "repeat"),
        (9, NEW_GENERATION_MS, "repeat"),
        (9, NEW_GENERATION_MS + 1, "new"),
        (10, NEW_GENERATION_MS + 1, "new"),
    ],
)
def test_an_id_that_does_not_rise_is_a_repeat_within_60_s(id_, later_ms, verdict):
    assert standing().classify(trade(id=id_, seq=6, time_ms=TIME_MS + later_ms), "s") == verdict


def test_a_feed_that_restarts_counts_a_generation_and_no_gap():
    record = standing(id=1000)
    record.take(trade(id=1, seq=6, time_ms=TIME_MS + NEW_GENERATION_MS + 1), "s")
    assert (record.generation, record.gaps, record.id, record.count) == (1, 0, 1, 2)


def test_a_decided_position_is_known_before_its_id_is_looked_at():
    assert standing(id=10, seq=5).classify(trade(id=10, seq=5), "s") == "known"
    assert standing(id=10, seq=5).classify(trade(id=99, seq=4), "s") == "known"
    assert standing(id=10, seq=5).classify(trade(id=9, seq=4, time_ms=TIME_MS + NEW_GENERATION_MS + 1), "s") == "known"


def test_positions_of_another_source_say_nothing_so_ids_find_the_repeats():
    record = standing(id=10, seq=5)
    assert record.classify(trade(id=11, seq=1), "another") == "new"
    assert record.classify(trade(id=10, seq=1), "another") == "repeat"


def test_a_fresh_record_holds_no_position_so_nothing_is_known():
    record = Record()
    record.pass_over(trade(seq=5), "s")
    assert record.classify(trade(seq=5), "s") == "known"
    assert Record().classify(trade(seq=5), "s") == "new"


def test_missing_trade_ids_are_counted_as_gaps():
    record = standing(id=10)
    for id_ in (11, 15, 16):
        record.take(trade(id=id_, seq=id_), "s")
    assert record.gaps == 3  # 12, 13, 14


def test_the_first_trade_makes_no_gap():
    assert standing(id=1_000_000).gaps == 0


def test_ids_that_jump_to_the_highest_again_and_again_count_bounded_gaps():
    """A record holds no more gaps than `MAX_GAPS`."""
    record = standing(id=1)
    for seq, id_ in ((6, 2**63 - 1), (7, 1), (8, 2**63 - 1), (9, 1), (10, 2**63 - 1)):
        record.take(trade(id=id_, seq=seq), "s")
        assert record.gaps == records.MAX_GAPS
    assert records.unpack(records.pack(record)) == record


def test_missing_ids_of_books_are_no_gaps_because_each_book_is_whole():
    record = Record()
    for id_ in (10, 500):
        record.take(book(id=id_, seq=id_), "s")
    assert record.gaps == 0


def test_the_hash_is_sha_256_over_previous_hash_id_and_time_in_big_endian():
    record = Record()
    events = [trade(id=7, time_ms=1_700_000_000_001), trade(id=8, time_ms=1_700_000_000_002, seq=2)]
    record.chain(events[:1])
    first = hashlib.sha256(bytes(32) + struct.pack(">q", 7) + struct.pack(">q", 1_700_000_000_001)).digest()
    assert record.hash == first
    record.chain(events[1:])
    both = record.hash
    assert both == hashlib.sha256(first + struct.pack(">qq", 8, 1_700_000_000_002)).digest()
    record = Record()
    record.chain(events)
    assert record.hash == both


def test_what_is_passed_over_raises_applied_and_neither_count_nor_hash():
    record = standing()
    before = (record.id, record.time_ms, record.count, record.gaps, record.generation, record.hash)
    record.pass_over(trade(id=3, seq=9), "s")
    assert record.applied == Position("s", 9)
    assert (record.id, record.time_ms, record.count, record.gaps, record.generation, record.hash) == before


def walked(events: Iterable[AnyEvent]) -> Record:
    record = Record()
    for event in events:
        record.chain(record.admit(event, "s", record.classify(event, "s")))
    return record


@given(ids=st.sets(st.integers(0, 500), max_size=30), again=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_repeats_inserted_anywhere_change_neither_count_nor_hash(ids, again):
    events = [trade(id=id_, time_ms=TIME_MS + 10 * n) for n, id_ in enumerate(sorted(ids))]
    repeated = list(events)
    for which, later in again if events else ():
        first = repeated.index(events[which % len(events)])
        repeated.insert(first + 1 + later % (len(repeated) - first), events[which % len(events)])
    once, many = (
        walked(trade(id=event.id, time_ms=event.time_ms, seq=seq) for seq, event in enumerate(stream, start=1))
        for stream in (events, repeated)
    )
    assert (many.count, many.hash, many.gaps, many.generation) == (once.count, once.hash, once.gaps, 0)
    assert many.count == len(ids)
    assert many.applied is None if not ids else many.applied == Position("s", len(repeated))


@given(feeds())
def test_a_record_survives_its_packed_form(events):
    record = walked(event for event in events if event.symbol == "BTCUSDT")
    assert records.unpack(records.pack(record)) == record


def test_nothing_stored_is_a_fresh_record():
    assert records.unpack(None) == Record()


def test_each_venue_symbol_and_kind_has_its_own_record():
    names = {records.field(event) for event in (book(), trade(), trade(venue="usdm"), trade(symbol="ETHUSDT"))}
    assert names == {
        "record:spot:BTCUSDT:depth",
        "record:spot:BTCUSDT:trade",
        "record:usdm:BTCUSDT:trade",
        "record:spot:ETHUSDT:trade",
    }


def without_id(later_ms: int, seq: int) -> AnyEvent:
    """Return a trade to which the exchange gave no id."""
    time_ms = TIME_MS + later_ms
    return trade(id=NO_ID + time_ms * 1_000_000, time_ms=time_ms, seq=seq)


def test_events_without_ids_are_ordered_by_time_then_by_position():
    record = Record()
    assert record.classify(without_id(0, 1), "s") == "new"
    record.take(without_id(0, 1), "s")
    assert record.classify(without_id(0, 1), "s") == "known"
    assert record.classify(without_id(0, 2), "s") == "new"
    assert record.classify(without_id(1, 2), "s") == "new"
    assert record.classify(without_id(-1, 2), "s") == "repeat"


def test_events_without_ids_make_no_gaps_and_no_generations():
    record = Record()
    for number in range(5):
        record.take(without_id(10 * number, number + 1), "s")
    assert (record.count, record.gaps, record.generation) == (5, 0, 0)


@pytest.mark.parametrize(
    ("id_", "later_ms", "is_ahead"),
    [
        (11, 0, True),
        (10, 0, False),
        (9, 0, False),
        (10, 500, False),  # clocks differ, the id says that it is the same event
        (9, NEW_GENERATION_MS, False),
        (9, NEW_GENERATION_MS + 1, True),  # the feed restarted here
        (11, -NEW_GENERATION_MS, True),
        (11, -NEW_GENERATION_MS - 1, False),  # it restarted there
    ],
)
def test_a_record_is_ahead_whose_last_event_would_be_new_to_the_other(id_, later_ms, is_ahead):
    other = Record()
    other.take(trade(id=id_, time_ms=TIME_MS + later_ms), "another")
    assert other.is_ahead_of(standing()) == is_ahead


def test_a_record_without_events_is_ahead_of_none_and_any_other_of_it():
    assert not Record().is_ahead_of(Record())
    assert not Record().is_ahead_of(standing())
    assert standing(id=0).is_ahead_of(Record())
    assert standing(id=NO_ID + TIME_MS).is_ahead_of(Record())
