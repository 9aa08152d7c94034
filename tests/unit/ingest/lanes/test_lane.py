"""The sender's state machine, step by step; `test_channel` shows what it comes to over a queue that misbehaves."""

import msgspec
import pytest

from ingest.lanes.lane import Lane, LaneEvent
from tasks.events import Kind, Position
from tasks.frames.model import MAX_SYMBOLS
from tasks.protocol.batches import Epoch
from tasks.protocol.routing import LaneId

SOURCE = "core-1.aa"
ROOM = 10**9


def item(seq: int, *, size: int = 100, kind: Kind = "trade", symbol: str = "BTCUSDT") -> LaneEvent:
    return LaneEvent(seq, msgspec.Raw(b"x" * size), size, kind, ("spot", symbol), 0, 0)


@pytest.fixture
def lane() -> Lane:
    lane = Lane(LaneId("trade", 0))
    lane.begin(SOURCE, None, [])
    return lane


def test_a_batch_says_when_the_stream_stored_its_last_frame(lane):
    for seq in (1, 2):
        lane.offer(msgspec.structs.replace(item(seq), stored_at_ns=seq * 1_000), ROOM)
    assert lane.launch()
    assert lane.batch(0, Epoch(1, "aa")).stored_at_ns == 2_000


def offer(lane: Lane, *seqs: int) -> None:
    for seq in seqs:
        lane.offer(item(seq), ROOM)


def launch(lane: Lane, now_s: float = 0.0) -> list[int]:
    assert lane.launch()
    lane.sent(now_s)
    return [each.seq for each in lane.flight]


def at(seq: int) -> Position:
    return Position(SOURCE, seq)


def overdue(lane: Lane, starts: int, now_s: float, *, queue_full: bool = False) -> str:
    return lane.decide(starts, now_s, copy_life_s=20, queue_full=queue_full)


def test_a_quiet_lane_sends_one_event_and_a_busy_one_all_that_gathered(lane: Lane):
    offer(lane, 1)
    assert launch(lane) == [1]
    offer(lane, 2, 3, 4)
    assert not lane.launch(), "one batch at a time"
    lane.settle(at(1), 0.1)
    assert launch(lane) == [2, 3, 4]


def test_a_batch_says_where_it_belongs(lane: Lane):
    lane.begin(SOURCE, Position("core-0.bb", 7), [item(5), item(9)])
    lane.launch("c0ffee")
    batch = lane.batch(0, Epoch(1, "aa"))
    assert batch.configuration == "c0ffee"
    assert (batch.prev, batch.to, len(batch.events)) == (Position("core-0.bb", 7), at(9), 2)
    assert batch.task_id == "trade-0-1.aa-9"


def test_a_batch_holds_at_most_500_events(lane: Lane):
    offer(lane, *range(1, 1202))
    sizes = []
    while lane.held:
        sizes.append(len(launch(lane)))
        lane.settle(at(lane.flight[-1].seq), 0.1)
    assert sizes == [500, 500, 201]


def test_a_batch_holds_at_most_one_mebibyte_but_always_one_event(lane: Lane):
    for seq in (1, 2, 3, 4):
        lane.offer(item(seq, size=500_000 if seq < 4 else 2_000_000), ROOM)
    assert launch(lane) == [1, 2]
    lane.settle(at(2), 0.1)
    assert launch(lane) == [3]
    lane.settle(at(3), 0.1)
    assert launch(lane) == [4]


def test_a_notice_of_an_older_position_or_another_source_changes_nothing(lane: Lane):
    offer(lane, 1, 2)
    launch(lane)
    lane.settle(at(2), 0.1)
    offer(lane, 3)
    launch(lane)
    for position in (at(2), at(1), Position("core-0.bb", 99)):
        assert lane.settle(position, 0.2) == []
    assert [each.seq for each in lane.flight] == [3]


def test_it_is_overdue_after_the_timeout_and_later_after_each_copy(lane: Lane):
    offer(lane, 1)
    launch(lane, now_s=10.0)
    assert not lane.overdue(10.99)
    assert lane.overdue(11.0)
    assert overdue(lane, 0, 11.0) == "resend"
    lane.sent(11.0)
    assert not lane.overdue(12.99)
    assert lane.overdue(13.0)


def test_only_a_batch_that_was_sent_once_is_a_sample_of_the_round_trip(lane: Lane):
    offer(lane, 1)
    launch(lane, now_s=0.0)
    lane.sent(1.0)
    lane.settle(at(1), 1.5)
    assert lane.round_trip.smoothed_s is None
    offer(lane, 2)
    launch(lane, now_s=2.0)
    lane.settle(at(2), 2.25)
    assert lane.round_trip.smoothed_s == pytest.approx(0.25)


def test_nothing_is_sent_again_while_the_queue_is_full(lane: Lane):
    offer(lane, 1)
    launch(lane)
    assert overdue(lane, 0, 1.0, queue_full=True) == "wait"
    assert not lane.overdue(1.5), "it does not ask the ledger at every tick"
    assert lane.overdue(2.0)


def test_at_most_three_copies_are_at_work_at_a_time(lane: Lane):
    offer(lane, 1)
    launch(lane, now_s=0.0)
    for now_s in (1.0, 3.0):
        assert overdue(lane, 0, now_s) == "resend"
        lane.sent(now_s)
    assert overdue(lane, 0, 7.0) == "wait"
    assert overdue(lane, 0, 20.5) == "resend", "the first copy can't be at work any more"


def test_a_copy_that_is_known_to_have_ended_makes_room_for_another(lane: Lane):
    offer(lane, 1)
    launch(lane, now_s=0.0)
    lane.ended()
    for now_s in (1.0, 3.0, 7.0):
        assert overdue(lane, 0, now_s) == "resend"
        lane.sent(now_s)
    assert overdue(lane, 0, 15.0) == "wait"
    lane.ended()
    assert overdue(lane, 0, 16.0) == "resend"


def test_a_commit_after_all_copies_ended_is_no_round_trip_sample(lane: Lane):
    offer(lane, 1)
    launch(lane, now_s=0.0)
    lane.ended()
    assert [each.seq for each in lane.settle(at(1), 9.0)] == [1]
    assert lane.round_trip.smoothed_s is None


def test_a_copy_that_ended_with_its_process_is_followed_by_another_at_once(lane: Lane):
    offer(lane, 1)
    launch(lane, now_s=0.0)
    for now_s in (1.0, 3.0):
        assert overdue(lane, 0, now_s) == "resend"
        lane.sent(now_s)
    lane.ended(3.1)
    assert lane.overdue(3.1)
    assert overdue(lane, 0, 3.1) == "resend"
    lane.sent(3.1)
    assert not lane.overdue(3.2)


def test_a_batch_started_three_times_is_halved_with_the_same_prev(lane: Lane):
    offer(lane, 1, 2, 3, 4, 5)
    launch(lane)
    assert overdue(lane, 2, 1.0) == "resend"
    assert [each.seq for each in lane.flight] == [1, 2, 3, 4, 5]
    assert overdue(lane, 3, 3.0) == "resend"
    assert [each.seq for each in lane.flight] == [1, 2, 3]
    assert list(lane.waiting) == [4, 5]
    assert lane.prev is None


def test_a_commit_read_in_the_ledger_says_nothing_about_the_round_trip(lane: Lane):
    offer(lane, 1)
    launch(lane, now_s=0.0)
    assert lane.settle(at(1), 1.0, noticed=False)
    assert lane.round_trip.smoothed_s is None


@pytest.mark.parametrize("fatal_seq", [1, 2, 77, 256, 499, 500])
def test_a_fatal_event_among_hundreds_ends_few_processes(lane: Lane, fatal_seq: int):
    offer(lane, *range(1, 501))
    ended = newest = 0
    while not lane.prev or lane.prev.seq < fatal_seq:
        newest += 100
        offer(lane, *range(500 + newest, 600 + newest))  # the market goes on
        seqs = [each.seq for each in lane.flight] if lane.flight else launch(lane)
        if fatal_seq not in seqs:
            lane.settle(at(seqs[-1]), 1.0)
        elif len(seqs) > 1:
            ended += 3
            assert overdue(lane, 3, 1.0) == "resend"
            lane.sent(1.0)
        else:
            ended += 5
            assert (overdue(lane, 5, 100.0), overdue(lane, 5, 120.0)) == ("wait", "quarantine")
            lane.settle(at(fatal_seq), 121.0)
    assert ended <= 3 * 9 + 5, "three for each halving of 500, five of it alone"
    assert len(launch(lane, 122.0)) > 250, "and then batches are as large as before"


def test_a_late_commit_of_the_whole_batch_settles_its_halves_too(lane: Lane):
    offer(lane, 1, 2, 3, 4)
    launch(lane)
    overdue(lane, 3, 1.0)
    lane.sent(1.0)
    assert [each.seq for each in lane.settle(at(4), 2.0)] == [1, 2, 3, 4]
    assert lane.held == 0


def test_a_lane_stands_only_where_a_batch_that_was_sent_leads(lane: Lane):
    """Another position is damaged: where it were believed, events would be skipped."""
    lane.begin(SOURCE, at(4), [item(seq) for seq in (5, 6, 7, 8)])
    assert not lane.can_stand_at(at(8)), "it is not sent yet"
    launch(lane)
    overdue(lane, 3, 1.0)
    lane.sent(1.0)
    assert [seq for seq in range(100) if lane.can_stand_at(at(seq))] == [0, 1, 2, 3, 4, 6, 8]
    assert lane.can_stand_at(Position("another", 99)), "of that, others decide"
    assert (lane.settle(at(7), 2.0), lane.settle(at(88), 2.0), lane.held) == ([], [], 4)
    lane.settle(at(6), 2.0)
    assert not lane.can_stand_at(at(8)), "the fence takes no batch from where the lane was"


def test_an_event_is_quarantined_only_after_five_incomplete_starts(lane: Lane):
    """It is quarantined only when none of the starts can be at work any more."""
    offer(lane, 1)
    launch(lane)
    assert [overdue(lane, starts, 100.0 * starts) for starts in range(5)] == ["resend"] * 5
    assert overdue(lane, 5, 500.0) == "wait"
    assert not lane.overdue(519.9)
    assert overdue(lane, 6, 520.0) == "wait", "another copy has begun"
    assert overdue(lane, 6, 539.9) == "wait"
    assert overdue(lane, 6, 540.0) == "quarantine"


def test_absent_workers_never_quarantine_anything(lane: Lane):
    offer(lane, 1)
    launch(lane)
    for now_s in range(1, 600):
        if lane.overdue(now_s):
            assert overdue(lane, 0, now_s) != "quarantine"
            lane.sent(now_s)


def test_at_the_bound_a_book_replaces_the_older_book_of_its_symbol(lane: Lane):
    lane.offer(item(1, kind="depth", symbol="BTCUSDT"), 300)
    lane.offer(item(2, kind="depth", symbol="ETHUSDT"), 200)
    dropped = lane.offer(item(3, kind="depth", symbol="BTCUSDT"), 50)
    assert [(reason, gone.seq) for reason, gone in dropped] == [("conflated", 1)]
    assert list(lane.waiting) == [2, 3]
    assert lane.held_bytes == 200


def test_a_lane_remembers_the_last_books_of_a_bounded_number_of_symbols(lane: Lane):
    for seq in range(1, MAX_SYMBOLS + 2):
        lane.offer(item(seq, kind="depth", symbol=f"S{seq}USDT"), 10**9)
        lane.settle(at(seq), 0.0)
    assert len(lane._last_book) <= MAX_SYMBOLS


def test_at_the_bound_a_trade_takes_the_place_of_the_oldest(lane: Lane):
    offer(lane, 1, 2)
    dropped = lane.offer(item(3, size=150), 0)
    assert [(reason, gone.seq) for reason, gone in dropped] == [("overflow", 1), ("overflow", 2)]
    assert lane.held_bytes == 150


def test_what_is_in_flight_is_never_dropped(lane: Lane):
    offer(lane, 1, 2)
    launch(lane)
    dropped = lane.offer(item(3), 0)
    assert dropped == []
    assert [each.seq for each in lane.flight] == [1, 2]
