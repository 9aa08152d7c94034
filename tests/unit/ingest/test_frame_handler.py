import json
import time

import pytest
from structlog.testing import capture_logs

from ingest.counters import Counted, Counters
from ingest.frame_handler import FrameHandler
from ingest.lanes import LaneLimits, Lanes
from ingest.lanes.frame_partitions import FramePartitions
from ingest.refused_frames import MAX_LETTERS, RefusedFrames
from tasks.events import AnyEvent
from tasks.frames.plausibility import FrameReader
from tasks.frames.subjects import FrameSubjects
from tasks.protocol import dead_letters
from tasks.protocol.routing import Pool, Router, Shard, partition
from tasks.telemetry.log_throttle import LOG_INTERVAL_S
from tests.support.frames.wire import SPOT_BOOK, SPOT_TRADE, SUBJECT, enveloped, packed

ACK = b'{"result":null,"id":1}'
BROKEN = b"\xff{"


class Desk:
    """A handler, and the events that it sent on."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.lanes = Lanes(Router(()), LaneLimits(1, 1))
        self.events: list[AnyEvent] = []
        self.refused = RefusedFrames(self.counters)
        self.handler = self.make()

    def make(self, *, counts: bool = True) -> FrameHandler:
        def offer(event: AnyEvent, _: str, __: int) -> None:
            self.events.append(event)

        return FrameHandler(self.lanes, self.counters, self.refused, offer, lambda _: None, counts=counts)

    def use(self, partitions: FramePartitions) -> None:
        """Go on with partitions."""

        def offer(event: AnyEvent, _: str, __: int) -> None:
            self.events.append(event)

        reader = FrameReader(misplaced=partitions.refuse)
        self.handler = FrameHandler(
            self.lanes, self.counters, self.refused, offer, lambda _: None, counts=partitions, reader=reader
        )

    def take(self, *frames: bytes) -> None:
        for frame in frames:
            self.handler.deliver(SUBJECT, frame)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_every_frame_gets_a_number_and_is_counted_as_exactly_one_thing(desk: Desk):
    desk.take(packed(SPOT_TRADE), ACK, BROKEN, packed(SPOT_TRADE | {"t": 12346}))
    assert [(event.seq, event.id) for event in desk.events] == [(1, 12345), (4, 12346)]
    assert desk.lanes.last_seq == 4
    assert desk.counters.totals.stored() == {"frames": 4, "events": 2, "skipped:ack": 1, "refused:not_json": 1}


def test_a_refused_frame_is_a_dead_letter_with_subject_reason_and_bytes(desk: Desk):
    desk.take(BROKEN)
    [letter] = map(dead_letters.unpack, desk.refused.letters)
    assert (letter.reason, letter.refusal, letter.subject, letter.raw) == ("refused", "not_json", SUBJECT, BROKEN)
    assert letter.detail


def test_a_flood_of_refused_frames_keeps_the_latest_and_counts_the_rest(desk: Desk):
    desk.take(*(b"no json %d" % number for number in range(MAX_LETTERS + 5)))
    letters = [dead_letters.unpack(each).raw for each in desk.refused.letters]
    assert (letters[0], letters[-1], len(letters)) == (b"no json 5", b"no json 1004", MAX_LETTERS)
    assert desk.counters.totals.of("letters_lost") == 5
    assert desk.counters.totals.of("refused", "not_json") == MAX_LETTERS + 5


def test_refused_frames_are_logged_at_once_and_then_at_most_once_in_10_s(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Each line has the number of frames since the line before."""
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    with capture_logs() as logged:
        desk.take(BROKEN, BROKEN, BROKEN)
        assert [line["count"] for line in logged] == [1]
        now_s += LOG_INTERVAL_S
        desk.take(BROKEN)
        assert [line["count"] for line in logged] == [1, 3]
    assert {line["last_reason"] for line in logged} == {"not_json"}


def test_no_bytes_make_it_raise(desk: Desk):
    odd = [b"", b"[]", b"null", b"0", b'"x"', b"{}", b"[" * 100_000, json.dumps({"e": "trade"}).encode(), bytes(2**21)]
    desk.take(*odd)
    assert desk.counters.totals.of("frames") == len(odd)
    assert desk.events == []


def test_frames_counted_before_are_sent_on_without_being_counted_again(desk: Desk):
    desk.counters.restart(Counted(7))
    for seq, raw in ((6, packed(SPOT_TRADE)), (7, BROKEN), (8, packed(SPOT_TRADE | {"t": 12346}))):
        desk.handler.deliver(SUBJECT, raw, None, seq)
    assert [event.seq for event in desk.events] == [6, 8]
    assert desk.counters.totals.stored() == {"frames": 1, "events": 1}
    assert not desk.refused.letters


def test_a_shard_that_does_not_count_sends_on_and_keeps_no_letters():
    desk = Desk()
    handler = desk.make(counts=False)
    handler.deliver(SUBJECT, packed(SPOT_TRADE))
    handler.deliver(SUBJECT, BROKEN)
    assert len(desk.events) == 1
    assert desk.counters.totals.stored() == {}
    assert not desk.refused.letters


def test_a_book_under_a_wrong_name_is_a_dead_letter_and_a_finding(desk: Desk):
    wrong = enveloped("btcusdt@depth20", SPOT_BOOK | {"bids": [["61800", "1"]], "asks": [["61801", "1"]]})
    desk.take(enveloped("btcusdt@depth20", SPOT_BOOK), wrong, enveloped("btcusdt@depth20", SPOT_BOOK))
    assert len(desk.events) == 2
    [letter] = map(dead_letters.unpack, desk.refused.letters)
    assert (letter.refusal, letter.raw) == ("implausible_price", wrong)
    assert [finding.name for finding in desk.refused.implausible.findings()] == ["implausible_price"]


def test_what_runs_ahead_of_ingests_own_clock_is_refused(desk: Desk):
    ahead_ms = time.time_ns() // 1_000_000 + 3_600_000
    desk.take(enveloped("btcusdt@trade", SPOT_TRADE | {"E": ahead_ms}))
    assert desk.counters.totals.of("refused", "time_ahead") == 1


def test_a_shard_counts_its_own_partitions_and_hands_on_what_it_reads(desk: Desk):
    subjects = FrameSubjects.read("binance.>", 4)
    number = partition("spot", "BTCUSDT", 4)
    for shard in range(2):
        basket = Pool("basket", ("trade",), key="all", symbols=frozenset({"BTCUSDT"}))
        desk.use(FramePartitions(subjects, Shard(shard, 2), [basket]))
        desk.handler.deliver(f"binance.{number}.btcusdt@trade", packed(SPOT_TRADE))
        desk.handler.deliver(f"binance.{number}.x", BROKEN)
        assert len(desk.events) == shard + 1
    assert desk.counters.totals.stored() == {"frames": 2, "events": 1, "refused:not_json": 1}


def test_an_event_of_another_partition_is_refused_and_kept(desk: Desk):
    number = (partition("spot", "BTCUSDT", 4) + 1) % 4
    desk.use(FramePartitions(FrameSubjects.read("binance.>", 4), Shard(0, 1), []))
    desk.handler.deliver(f"binance.{number}.btcusdt@trade", packed(SPOT_TRADE))
    [letter] = map(dead_letters.unpack, desk.refused.letters)
    assert (desk.events, letter.refusal) == ([], "wrong_partition")
    assert desk.counters.totals.stored() == {"frames": 1, "refused:wrong_partition": 1}


def test_a_frame_that_no_shard_reads_is_refused_without_a_number(desk: Desk):
    desk.use(FramePartitions(FrameSubjects.read("binance.>", 4), Shard(0, 1), []))
    desk.handler.refuse("binance.btcusdt@trade", packed(SPOT_TRADE))
    assert (desk.lanes.last_seq, desk.events) == (0, [])
    assert desk.counters.totals.stored() == {"frames": 1, "refused:wrong_partition": 1}
    assert len(desk.refused.letters) == 1
