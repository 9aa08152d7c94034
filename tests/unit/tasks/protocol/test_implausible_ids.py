"""An id that no exchange counts to is not believed before the next event goes on from it."""

import msgspec
import pytest

from tasks.events import NO_ID, AnyEvent, Position
from tasks.frames.model import MAX_ID
from tasks.protocol import dead_letters, records
from tasks.protocol.dead_letters import jumped
from tasks.protocol.records import MAX_IDS_PER_MS, NEW_GENERATION_MS, TRIAL_EVENTS, Record
from tests.support.events import TIME_MS, book, trade
from tests.support.strategies import Echo, Worker

HOUR_MS = 3_600_000


def verdict(record: Record, event: AnyEvent) -> str:
    """Put an event through a record, as the engine does; return what it made of it."""
    made = record.classify(event, "s")
    record.admit(event, "s", made)
    return made


def verdicts(*ids: int, step_ms: int = 100) -> list[str]:
    record = Record()
    return [
        verdict(record, trade(id=id_, seq=seq, time_ms=TIME_MS + seq * step_ms)) for seq, id_ in enumerate(ids, start=1)
    ]


def test_one_forged_id_makes_no_repeat_of_what_is_real():
    assert verdicts(10, 11, MAX_ID, 12, 13) == ["new", "new", "unconfirmed", "new", "new"]


def test_a_forged_id_sent_twice_does_not_confirm_itself():
    assert verdicts(10, MAX_ID, MAX_ID, 11, 12) == ["new", "unconfirmed", "repeat", "new", "new"]


def test_forged_ids_between_real_ones_mute_nothing():
    assert verdicts(10, MAX_ID, 11, MAX_ID - 5, 12, MAX_ID, 13)[::2] == ["new"] * 4


def test_forged_ids_far_from_each_other_do_not_confirm_each_other():
    assert verdicts(10, MAX_ID, MAX_ID // 2, 11) == ["new", "unconfirmed", "unconfirmed", "new"]


def test_a_jump_from_which_the_next_ids_go_on_is_confirmed():
    assert verdicts(10, 2**62, 2**62 + 1, 2**62 + 2) == ["new", "unconfirmed", "confirms", "new"]


def test_after_two_forged_ids_in_a_row_real_ones_are_new_at_once():
    assert verdicts(10, MAX_ID - 1, MAX_ID, 11, 12, MAX_ID, 13) == [
        "new", "unconfirmed", "confirms", "returns", "new", "unconfirmed", "new",
    ]  # fmt: skip


@pytest.mark.parametrize("cut", [0, 2, 3, 4, 51])
def test_two_forged_ids_and_then_one_for_each_real_one_mute_nothing(cut):
    forged = iter(range(2**62, MAX_ID))
    ids = [10, next(forged), next(forged), *(id_ for real in range(11, 111) for id_ in (real, next(forged)))]
    given, worker = echoed(*ids, cut=cut)
    assert [id_ for id_ in given if id_ < 2**62] == list(range(10, 111))
    assert (len(given), len(worker.letters)) == (103, 99)


def test_forged_ids_that_jump_twice_do_not_hide_where_the_real_ones_are():
    others = (2**61 + 5, 2**61 + 6)
    assert verdicts(10, 2**62, 2**62 + 1, *others, 11, others[1] + 1, 12)[3:] == [
        "unconfirmed", "confirms", "returns", "unconfirmed", "new",
    ]  # fmt: skip


def test_a_late_repeat_after_two_forged_ids_is_never_given_twice():
    assert verdicts(10, 11, MAX_ID - 1, MAX_ID, 10, 11, 12, 12)[4:] == ["repeat", "repeat", "returns", "repeat"]


def test_a_jump_and_a_return_count_no_gap_that_is_none():
    record = Record()
    for seq, id_ in enumerate((10, MAX_ID - 1, MAX_ID, 13), start=1):
        verdict(record, trade(id=id_, seq=seq))
    assert (record.gaps, record.generation, record.left) == (2, 1, None)


@pytest.mark.parametrize(("more", "made"), [(TRIAL_EVENTS - 3, "returns"), (TRIAL_EVENTS - 2, "unconfirmed")])
def test_a_numbering_after_a_thousand_events_is_the_streams_own(more, made):
    record = Record()
    for seq, id_ in enumerate((10, *range(2**62, 2**62 + 2 + more)), start=1):
        verdict(record, trade(id=id_, seq=seq))
    assert record.classify(trade(id=11, seq=TRIAL_EVENTS + 9), "s") == made


def test_a_forged_id_as_the_first_of_all_holds_only_until_two_real_ones():
    assert verdicts(MAX_ID, 10, 11, 12) == ["new", "unconfirmed", "confirms", "new"]


def test_a_late_repeat_neither_confirms_nor_refutes():
    assert verdicts(10, 11, 2**62, 10, 2**62 + 1) == ["new", "new", "unconfirmed", "repeat", "confirms"]


def test_an_unconfirmed_event_that_is_read_again_is_known():
    record = Record()
    verdict(record, trade(id=10, seq=1))
    verdict(record, trade(id=MAX_ID, seq=2))
    assert verdict(record, trade(id=MAX_ID, seq=2)) == "known"
    assert record.classify(trade(id=MAX_ID, seq=2), "another") == "repeat"


@pytest.mark.parametrize(
    ("first", "second", "silent_ms"),
    [
        # Trade ids of a busy market after ten days.
        (4_000_000_000, 4_120_000_000, 10 * 24 * HOUR_MS),
        # Update ids of futures books: hundreds of thousands in a second.
        (9_000_000_000_000, 9_000_000_400_000, 100),
        (9_000_000_000_000, 9_500_000_000_000, 14 * 24 * HOUR_MS),
        # Ids that are a time: in microseconds, nanoseconds, and with 22 bits below each millisecond.
        (TIME_MS * 1_000, (TIME_MS + HOUR_MS) * 1_000, HOUR_MS),
        (TIME_MS * 1_000_000, (TIME_MS + 30 * 24 * HOUR_MS) * 1_000_000, 30 * 24 * HOUR_MS),
        ((TIME_MS - 1_288_834_974_657) << 22, (TIME_MS + 24 * HOUR_MS - 1_288_834_974_657) << 22, 24 * HOUR_MS),
        # No ids at all.
        (NO_ID + TIME_MS * 1_000_000, NO_ID + (TIME_MS + HOUR_MS) * 1_000_000, HOUR_MS),
    ],
)
def test_what_exchanges_count_in_the_time_between_is_new_at_once(first, second, silent_ms):
    record = Record()
    verdict(record, trade(id=first, seq=1))
    assert verdict(record, trade(id=second, seq=2, time_ms=TIME_MS + silent_ms)) == "new"
    assert verdict(record, trade(id=first, seq=3)) == "repeat"


def test_however_long_a_stream_was_silent_the_highest_id_is_not_believed():
    record = Record()
    verdict(record, trade(id=10, seq=1))
    assert verdict(record, trade(id=MAX_ID, seq=2, time_ms=10**14)) == "unconfirmed"


def test_a_venue_that_begins_to_give_ids_goes_on_with_its_second():
    record = Record()
    verdict(record, trade(id=NO_ID + TIME_MS * 1_000_000, seq=1))
    assert [verdict(record, trade(id=id_, seq=id_)) for id_ in (7, 8, 9)] == ["unconfirmed", "confirms", "new"]


def test_a_feed_that_restarts_with_lower_ids_is_new_after_60_s():
    record = Record()
    verdict(record, book(id=2**62, seq=1))
    assert verdict(record, book(id=1, seq=2, time_ms=TIME_MS + NEW_GENERATION_MS + 1)) == "new"


def test_a_step_of_all_that_is_possible_between_equal_times_is_new():
    most = MAX_IDS_PER_MS * 2_000
    assert verdicts(0, most, step_ms=0) == ["new", "new"]
    assert verdicts(0, most + 1, step_ms=0) == ["new", "unconfirmed"]


@pytest.mark.parametrize("next_id", [1, 2**60, MAX_ID - 1, NO_ID + TIME_MS * 1_000_000])
def test_after_a_reset_the_next_events_are_new_whatever_their_ids(next_id):
    record = Record()
    for seq, id_ in enumerate((10, MAX_ID - 9, MAX_ID - 8), start=1):
        verdict(record, trade(id=id_, seq=seq))
    reset = record.without_last_event()
    assert (reset.applied, reset.count, reset.generation) == (record.applied, 3, record.generation + 1)
    assert not reset.has_passed(trade(id=next_id, seq=4))
    assert verdict(reset, trade(id=MAX_ID, seq=3)) == "known"
    assert [verdict(reset, trade(id=next_id + step, seq=4 + step)) for step in (0, 1)] == ["new", "new"]


def test_an_unconfirmed_event_at_a_reset_is_refused_by_the_next_event():
    record, refused = Record(), list[str]()
    verdict(record, trade(id=10, seq=1))
    verdict(record, trade(id=MAX_ID, seq=2))
    reset, one = record.without_last_event(), trade(id=11, seq=3)
    given = reset.admit(one, "s", reset.classify(one, "s"), lambda of, event: refused.append(jumped(event, of.id)))
    assert given == (one,)
    assert refused == [
        f"spot BTCUSDT trade: its record was reset while the id {MAX_ID} waited for an event that goes on from it"
    ]


class EarlierRecord(msgspec.Struct, array_like=True):
    """A record as the release before knows it."""

    applied: Position | None
    id: int
    time_ms: int
    generation: int
    count: int
    gaps: int
    hash: bytes
    configuration: str


def test_the_release_before_reads_a_record_and_drops_the_unconfirmed_event():
    """So it is lost while workers of both run, as docs/upgrade.md says; all else stays."""
    record = Record()
    verdict(record, trade(id=10, seq=1))
    verdict(record, trade(id=MAX_ID, seq=2))
    earlier = msgspec.msgpack.decode(records.pack(record), type=EarlierRecord)
    again = records.unpack(msgspec.msgpack.encode(earlier))
    assert (record.release(), again) == (trade(id=MAX_ID, seq=2), record)


def echoed(*ids: int, cut: int = 0) -> tuple[list[int], Worker]:
    """Run a strategy that says what it gets over trades with these ids; return what it got."""
    echo = Echo.create({})
    worker = Worker(echo)
    events = [trade(id=id_, seq=seq, time_ms=TIME_MS + seq * 100) for seq, id_ in enumerate(ids, start=1)]
    for batch in (events[:cut], events[cut:]):
        if batch:
            worker.run(batch)
    return worker.state(echo)[3]["ids"], worker


def test_strategies_never_get_an_event_that_nothing_confirmed():
    ids, worker = echoed(10, MAX_ID, 11)
    assert ids == [10, 11]
    (letter,) = map(dead_letters.unpack, worker.letters)
    assert letter.event
    assert (letter.reason, letter.refusal, letter.event.id) == ("refused", "implausible_id", MAX_ID)
    assert f"no exchange counts from 10 to {MAX_ID} in that time" in letter.detail


@pytest.mark.parametrize("cut", range(5))
def test_a_confirmed_event_comes_before_the_one_that_confirms_it(cut):
    """However the events are cut into batches: what is unconfirmed is in the record."""
    ids, worker = echoed(10, 2**62, 2**62 + 1, 2**62 + 2, cut=cut)
    assert ids == [10, 2**62, 2**62 + 1, 2**62 + 2]
    assert worker.letters == []
