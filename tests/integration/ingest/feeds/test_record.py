"""The recorder on a real NATS server."""

import asyncio
import gzip
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime

import nats
import pytest

from compose.local.processes import Instance
from compose.local.servers import free_port, start_nats
from ingest.feeds import record as feed
from ingest.transport.flush import confirm_published
from ingest.transport.subscribe import listen
from tasks.clients.nats_client import NatsClient
from tasks.errors import RecordingError, ServerUnavailableError, SettingsError
from tasks.events import Depth, Trade
from tasks.frames import parse
from tasks.frames.model import FrameMetadata
from tasks.history.recordings import read
from tasks.settings import Settings
from tests.support.feeds import BOOK, envelope, text, trade, until
from tests.support.waiting import HANGS_S, cancelled, wait_for

STREAM = "btcusdt@trade"
NOW_NS = 1_764_000_000 * 10**9


def test_a_recorded_envelope_keeps_every_byte_and_its_own_time():
    raw = text(envelope(trade(1), 1_723_161_254_087_896_568))

    assert feed.line("binance.websocket.data", raw, came_ns=NOW_NS) == raw


def test_times_of_other_publishers_become_nanoseconds_to_the_microsecond():
    raw = b'{"stream":"btcusdt@trade","data":{"p": "0.10"},"timestamp":"2025-11-22T06:30:09.781711Z","version":"1.0"}'
    moment_s = int(datetime(2025, 11, 22, 6, 30, 9, tzinfo=UTC).timestamp())

    line = feed.line("binance.websocket.data", raw, came_ns=NOW_NS)

    assert line == b'{"stream":"btcusdt@trade","data":{"p": "0.10"},"received_at":%d}' % (
        moment_s * 10**9 + 781_711_000
    )


#: What petrosa-socket-client puts around the exchange's payload.
PETROSA = {"timestamp": "2025-11-22T06:30:09.781711", "message_id": "m-1", "source": "binance", "version": "1.0"}


@pytest.mark.parametrize("more", [{}, PETROSA, {"received_at": NOW_NS // 10**6}], ids=["own", "petrosa", "ours"])
@pytest.mark.parametrize(("stream", "data"), [("btcusdt@depth20", BOOK), (STREAM, trade(1))], ids=["book", "trade"])
def test_the_event_of_a_recorded_frame_is_that_of_the_frame(tmp_path, stream, data, more):
    raw, stored_ns = text({"stream": stream, "data": data} | more), NOW_NS + 1_234_567_000
    (tmp_path / "one").write_bytes(feed.line("binance.websocket.data", raw, stored_ns) or b"")

    (kept,) = read(tmp_path / "one")
    replayed = parse(kept.raw, FrameMetadata(f"binance.{kept.stream}", 1, kept.received_at_ns))

    live = parse(raw, FrameMetadata("binance.websocket.data", 1, kept.received_at_ns, stored_ns))
    assert isinstance(live, Depth | Trade)
    assert replayed == live


@pytest.mark.parametrize("unit_ns", [1, 10**3, 10**6, 10**9])
def test_a_time_of_receipt_in_any_unit_becomes_nanoseconds(unit_ns):
    raw = text({"stream": "btcusdt@depth20", "data": BOOK, "received_at": NOW_NS // unit_ns})

    assert json.loads(feed.line("x", raw, NOW_NS) or b"")["received_at"] == NOW_NS


@pytest.mark.parametrize("timestamp", ["yesterday", 5, "1970-01-01", "2030-01-01T00:00:00"])
@pytest.mark.parametrize("field", ["timestamp", "received_at"])
def test_a_book_whose_time_ingest_refuses_is_left_out(field, timestamp):
    raw = text({"stream": "btcusdt@depth20", "data": BOOK, field: timestamp})

    assert feed.line("x", raw, NOW_NS) is None


@pytest.mark.parametrize(("max_lead_s", "kept"), [(3_599, False), (3_600, True), (0, True)])
def test_how_far_ahead_a_book_may_be_is_what_ingest_is_told(max_lead_s, kept):
    raw = text({"stream": "btcusdt@depth20", "data": BOOK, "received_at": NOW_NS + 3_600 * 10**9})

    assert (feed.line("x", raw, NOW_NS, max_lead_s * 10**9) == raw) is kept


def test_a_trade_from_a_feed_whose_clock_is_ahead_gets_the_recorders_time():
    raw = text(envelope(trade(1) | {"E": NOW_NS // 10**6}, NOW_NS + 3600 * 10**9))

    assert json.loads(feed.line("x", raw, NOW_NS) or b"")["received_at"] == NOW_NS


def test_the_venue_of_an_envelope_is_kept():
    raw = b'{"stream":"btcusdt@kline_1m","data":{"e":"kline"},"venue":"usdm","received_at":1723161254087896568}'

    assert feed.line("x", raw, came_ns=NOW_NS) == raw


NEUTRAL = {"schema": "market/1", "venue": "kraken", "kind": "trade", "symbol": "BTC/USD", "price": 1, "quantity": 1}
NEUTRAL |= {"side": "buy"}


@pytest.mark.parametrize("frame", [NEUTRAL, {"data": NEUTRAL}], ids=["bare", "in an envelope"])
def test_a_venue_neutral_frame_is_recorded_as_it_is_with_a_time_of_receipt(frame):
    subject = "market.kraken.trade.BTC%2FUSD"

    assert feed.line(subject, text(frame), NOW_NS) == text(frame | {"received_at": NOW_NS})
    assert feed.line(subject, text(frame | {"received_at": NOW_NS - 1}), NOW_NS) == text(
        frame | {"received_at": NOW_NS - 1}
    )
    assert b"\n" not in (feed.line(subject, json.dumps(frame, indent=1).encode(), NOW_NS) or b"\n")


@pytest.mark.parametrize("said", [{"time": "yesterday"}, {"received_at": NOW_NS + 3_600 * 10**9}])
def test_a_venue_neutral_frame_whose_time_ingest_refuses_is_left_out(said):
    assert feed.line("market.kraken.trade.X", text(NEUTRAL | said), NOW_NS) is None


def test_a_bare_payload_gets_stream_from_the_subject_and_time_from_now():
    line = feed.line(f"binance.{STREAM}", b' {"e":"trade",\n "p":"0.10"} \n', came_ns=77)

    assert line == b'{"stream":"btcusdt@trade","data":{"e":"trade",  "p":"0.10"},"received_at":77}'


@pytest.mark.parametrize(
    ("subject", "raw"),
    [
        ("binance.websocket.data", b'{"e":"trade"}'),
        ("binance.websocket.data", b'{"result":null,"id":1}'),
        (f"binance.{STREAM}", b"not JSON"),
        (f"binance.{STREAM}", b"[1,2]"),
        (f"binance.{STREAM}", b'{"stream":7,"data":{}}'),
    ],
)
def test_a_frame_of_no_known_stream_is_left_out(subject, raw):
    assert feed.line(subject, raw, came_ns=77) is None


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_an_existing_file_is_kept_unless_force_is_given(tmp_path, suffix):
    path = tmp_path / f"precious{suffix}"
    path.write_bytes(b"precious")

    with pytest.raises(RecordingError, match="--force"):
        feed.open_file(path, force=False)
    assert path.read_bytes() == b"precious"

    feed.open_file(path, force=True).close()
    assert path.read_bytes() != b"precious"


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(RecordingError, match="No such file or directory"):
        feed.open_file(tmp_path / "none" / "file.jsonl", force=False)


async def test_what_is_replayed_and_recorded_is_the_same_file(nats_url, each_recording, tmp_path):
    path = tmp_path / "again.jsonl.gz"
    with gzip.open(each_recording) as file:
        lines = [next(file).rstrip() for _ in range(2000)]

    client = await nats.connect(nats_url)
    settings = Settings(nats_url=nats_url, nats_subjects="again.*.trade, again.*.book")
    task = asyncio.create_task(feed.record(settings, path, seconds=None, force=False))
    await until(path.exists, "the file, which is made once frames can come")
    for line in lines:
        stream = json.loads(line)["stream"]
        await client.publish(f"again.{stream}.{'trade' if stream.endswith('@trade') else 'book'}", line)
    await confirm_published(client)
    await cancelled(task)
    await client.close()
    assert [line.raw for line in read(path)] == lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_recording_with_a_whole_file(nats_url, tmp_path, number):
    path = tmp_path / "cut.jsonl.gz"
    environment = {"NATS_URL": nats_url, "NATS_SUBJECTS": "cut.>", "LOG_FORMAT": "json"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ingest", "record", str(path)], env=environment, stderr=subprocess.PIPE
    )
    frames = [text(envelope(trade(number), 10**18 + number)) for number in range(1000)]

    async def main() -> None:
        client = await nats.connect(nats_url)
        for frame in frames:
            await client.publish(f"cut.{STREAM}", frame)
        await client.flush()
        await client.close()

    try:
        wait_for(path.exists, what="the file, which is made once frames can come")
        asyncio.run(main())
        process.send_signal(number)
        _, errors = process.communicate(timeout=HANGS_S)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == -number
    assert b"Traceback" not in errors
    assert [line.raw for line in read(path)] == frames


async def test_frames_left_out_are_counted_and_the_rest_is_written(nats_url, tmp_path):
    path = tmp_path / "some.jsonl"
    recorder = feed.Recorder()

    client = NatsClient(Settings(nats_url=nats_url))
    await client.connect(nats_url)
    await listen(client, "some.>", recorder.take)
    await client.publish(f"some.{STREAM}", text(trade(1)))
    await client.publish(f"some.{STREAM}", b"not JSON")
    await client.publish("some.thing", text(trade(2)))
    await until(lambda: recorder.counts.total() == 3, "three frames")
    await client.close()
    with feed.open_file(path, force=False) as file:
        recorder.write(file)
    assert recorder.counts == {"recorded": 1, "left_out": 2}
    assert [json.loads(line.raw)["data"]["t"] for line in read(path)] == [1]


@pytest.mark.parametrize("name", ["kept.jsonl", "new.jsonl.gz"])
async def test_a_recording_ends_in_time_without_nats_and_leaves_no_file(tmp_path, name):
    path, kept = tmp_path / name, tmp_path / "kept.jsonl"
    kept.write_bytes(b"precious")
    settings = Settings(nats_url=f"nats://127.0.0.1:{free_port()}")

    with pytest.raises(ServerUnavailableError, match="was not there: nothing was recorded"):
        await feed.record(settings, path, seconds=0.2, force=True)

    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("kept.jsonl", b"precious")]


@pytest.mark.parametrize("source", ["core", "jetstream"])
async def test_a_recording_ends_in_time_when_nats_ends_in_its_middle(tmp_path, source):
    path = tmp_path / "cut.jsonl"

    with Instance("recorder") as instance:
        server, url = start_nats(instance, jetstream=source == "jetstream")
        settings = Settings(nats_url=url, nats_subjects="cut.>", ingest_source=source, ingest_stream_max_bytes=2**26)
        await feed.record(settings, path, seconds=2, force=False, on_listening=lambda: instance.kill(server))
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nats_credentials": "/etc/nats/user.creds"}, "NATS_CREDENTIALS: not the text"),
        ({"nats_nkey": "none"}, "NATS_NKEY"),
    ],
)
async def test_a_recording_that_cant_begin_leaves_what_was_there(tmp_path, given, said):
    path = tmp_path / "kept.jsonl"
    path.write_bytes(b"precious")

    with pytest.raises(SettingsError, match=said):
        await feed.record(Settings(**given), path, seconds=None, force=True)

    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("path", "said"),
    [("there.jsonl", "--force"), ("none/file.jsonl", "No such file or directory"), (".", "Is a directory")],
)
async def test_a_file_that_cant_be_made_is_told_before_nats_is_waited_for(tmp_path, path, said):
    (tmp_path / "there.jsonl").touch()
    settings = Settings(nats_url=f"nats://127.0.0.1:{free_port()}")

    with pytest.raises(RecordingError, match=said):
        await feed.record(settings, tmp_path / path, seconds=None, force=path == ".")
