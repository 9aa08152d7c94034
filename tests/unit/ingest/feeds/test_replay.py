"""What replay decides before it publishes, and when it waits."""

import asyncio
import gzip
import json
import os
import time

import pytest
from nats.errors import NoRespondersError
from redis.exceptions import ConnectionError as RedisAwayError
from structlog.testing import capture_logs

from compose.local.commands import _replay as demo_feed
from ingest.feeds.replay import FULL_FRAMES, RecordingOverview, Replay, _is_full, first_event, refuse_if_past, survey
from tasks.errors import LedgerError, RecordingError
from tasks.history.input_options import InputOptions
from tasks.history.input_report import SalvageReport
from tasks.history.recordings import RecordingLine
from tasks.protocol.ingest_status import IngestStatus, decode, encode
from tasks.settings import Settings
from tests.support.feeds import envelope, trade, until, write_recording
from tests.support.files import writers
from tests.support.waiting import cancelled

RECEIVED_NS = 1_723_161_254_087_896_568


def test_a_survey_counts_the_lines_of_all_files_and_finds_the_first_moment(tmp_path):
    early = write_recording(tmp_path / "early.jsonl", [envelope(trade(1), 10), envelope(trade(2), 30)])
    late = write_recording(tmp_path / "late.jsonl.gz", [envelope(trade(3), 20)])

    assert survey([late, early]) == RecordingOverview(lines=3, first_ns=10)


def test_a_file_that_is_cut_short_is_refused_before_anything_is_published(tmp_path):
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(envelope(trade(1), 10)).encode())[:-9])

    with pytest.raises(RecordingError, match="cut short"):
        survey([path])


def test_of_a_damaged_file_what_is_whole_is_compared_with_the_ledger(tmp_path):
    path = write_recording(tmp_path / "cut.jsonl.gz", [{"result": None, "received_at": 5}])
    path.write_bytes(path.read_bytes()[:-9])

    refuse_if_past(Settings(), [path], lambda _: True, SalvageReport())
    with pytest.raises(RecordingError, match="cut short"):
        refuse_if_past(Settings(), [path], lambda _: True)


def test_a_demo_looks_its_recording_through_before_it_starts_anything(tmp_path):
    path = write_recording(tmp_path / "cut.jsonl.gz", [envelope(trade(number), 10 + number) for number in range(2_000)])
    path.write_bytes(path.read_bytes()[:-9])

    with pytest.raises(RecordingError, match="--salvage uses what comes before"):
        demo_feed([path], "max", {}, salvage=False)
    assert demo_feed([path], "max", {}, salvage=True) == ["replay", str(path), "--speed", "max", "--salvage"]


def test_a_pipe_is_refused_by_name_because_a_replay_reads_twice(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match="pipe can be read only once"):
        survey([tmp_path / "pipe"])


def test_symbol_and_venue_of_files_that_name_none_are_options(tmp_path):
    path = writers.npz(tmp_path / "data.npz", [(writers.TRADE | writers.BUY, RECEIVED_NS, RECEIVED_NS, 5.0, 1.0)])
    given = {"--symbol": "BTCUSDT", "--venue": "usdm"}
    assert demo_feed([path], "1", given, salvage=False) == [
        "replay", str(path), "--speed", "1", "--symbol", "BTCUSDT", "--venue", "usdm",
    ]  # fmt: skip
    event = first_event(path, options=InputOptions(symbol="BTCUSDT", venue="usdm"))
    assert event is not None
    assert (event.symbol, event.venue) == ("BTCUSDT", "usdm")
    with pytest.raises(RecordingError, match="does not say of which symbol"):
        demo_feed([path], "1", {}, salvage=False)


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="nothing to replay"):
        survey([write_recording(tmp_path / "empty.jsonl", [])])


def test_the_first_event_is_the_first_frame_that_is_one(tmp_path):
    other = {"stream": "btcusdt@kline_1m", "data": {"e": "kline"}, "received_at": 5}
    path = write_recording(tmp_path / "mixed.jsonl", [other, envelope(trade(7), RECEIVED_NS)])

    event = first_event(path)

    assert event is not None
    assert (event.symbol, event.id) == ("BTCUSDT", 7)


def test_a_file_without_events_has_no_first_event_and_is_not_refused(tmp_path):
    path = write_recording(
        tmp_path / "other.jsonl", [{"stream": "btcusdt@kline_1m", "data": {"e": "kline"}, "received_at": 5}]
    )

    assert first_event(path) is None
    refuse_if_past(Settings(), [path], lambda _: True)


def test_a_ledger_past_a_file_refuses_it_in_one_line_naming_namespace(tmp_path):
    path = write_recording(tmp_path / "old.jsonl", [envelope(trade(7), RECEIVED_NS)])

    with pytest.raises(LedgerError) as refused:
        refuse_if_past(Settings(namespace="monday"), [path], lambda event: event.id == 7)

    assert "NAMESPACE 'monday'" in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_redis_a_replay_goes_on(tmp_path):
    path = write_recording(tmp_path / "old.jsonl", [envelope(trade(7), RECEIVED_NS)])
    asked = []

    def unavailable(event):
        asked.append(event.id)
        raise RedisAwayError("nobody there")

    refuse_if_past(Settings(), [path, path], unavailable)

    assert asked == [7], "it asked once, and did not wait for a second refusal"


@pytest.mark.parametrize(
    ("held_bytes", "held_frames", "full"),
    [(0, 0, False), (500, 0, False), (501, 0, True), (0, FULL_FRAMES, False), (0, FULL_FRAMES + 1, True)],
)
def test_ingest_is_full_above_half_its_bytes_or_its_frames(held_bytes, held_frames, full):
    status = IngestStatus(held_bytes=held_bytes, bound_bytes=1000, held_frames=held_frames)

    assert _is_full(decode(encode(status))) is full


class Wire:
    """Stands for the publisher: keeps what it is given, and when. No ingest answers."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, float]] = []
        self.client = self

    async def wait(self):
        pass

    async def request(self, *_, **__):
        raise NoRespondersError

    async def put(self, _stream, raw):
        self.sent.append((raw.decode(), time.monotonic()))

    async def settle(self):
        pass


async def test_a_long_wait_for_the_next_line_is_told():
    lines = [RecordingLine(b"1", "btcusdt@trade", 10**18), RecordingLine(b"2", "btcusdt@trade", 10**18 + 3_600 * 10**9)]
    wire = Wire()

    with capture_logs() as told:
        replay = Replay(wire, RecordingOverview(2, 10**18), 2.0)  # type: ignore[arg-type]
        playing = asyncio.create_task(replay.run(iter(lines), lambda _: None))
        await until(lambda: any("wait_s" in line for line in told), "the word of it")
        await cancelled(playing)
    assert len(wire.sent) == 1
    [(said, wait_s)] = [(line["event"], line["wait_s"]) for line in told if "wait_s" in line]
    assert said.startswith("the next frame is not due for long")
    assert 1_700 < wait_s <= 1_800


@pytest.mark.parametrize("speed", [1.0, 4.0])
async def test_no_line_is_published_before_its_time_and_order_is_kept(speed):
    # Given lines 40 ms apart.
    lines = [RecordingLine(str(number).encode(), "btcusdt@trade", 10**18 + number * 40_000_000) for number in range(6)]
    wire = Wire()

    started_s = time.monotonic()
    replay = Replay(wire, RecordingOverview(6, 10**18), speed)  # type: ignore[arg-type]
    await replay.run(iter(lines), lambda _: None)

    assert [raw for raw, _ in wire.sent] == ["0", "1", "2", "3", "4", "5"]
    # The pause ends up to a millisecond early, never more.
    assert all(sent_s - started_s >= number * 0.040 / speed - 0.002 for number, (_, sent_s) in enumerate(wire.sent))
