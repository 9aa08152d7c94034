"""Reading recordings."""

import gzip
import json
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.errors import RecordingError
from tasks.frames import parse
from tasks.frames.model import FrameMetadata, SkippedFrame
from tasks.history.input_report import SalvageReport
from tasks.history.recording_line import LinePlace
from tasks.history.recordings import RecordingLine, merge, read, refuse_pipes


def line(received_at: int, stream: str = "btcusdt@trade") -> bytes:
    return json.dumps({"stream": stream, "data": {}, "received_at": received_at}).encode()


def recording(path: Path, *lines: bytes, pack: bool = False) -> Path:
    content = b"".join(each + b"\n" for each in lines)
    path.write_bytes(gzip.compress(content) if pack else content)
    return path


@pytest.mark.parametrize("pack", [False, True])
def test_a_recording_is_read_line_by_line_packed_or_not_whatever_its_name(tmp_path, pack):
    path = recording(tmp_path / "recording", line(5), b"", line(6, "ethusdt@depth20") + b"\r", pack=pack)
    assert list(read(path)) == [
        RecordingLine(line(5), "btcusdt@trade", 5, LinePlace(path, 1)),
        RecordingLine(line(6, "ethusdt@depth20"), "ethusdt@depth20", 6, LinePlace(path, 3)),
    ]


@contextmanager
def piped(path: Path, content: bytes) -> Iterator[Path]:
    """Yield a named pipe into which somebody writes, a little at a time."""
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            for start in range(0, len(content), 7):
                pipe.write(content[start : start + 7])

    writer = threading.Thread(target=write)
    writer.start()
    yield path
    writer.join()


@pytest.mark.parametrize("pack", [False, True])
def test_a_pipe_is_read_from_its_start_to_its_end(tmp_path, pack):
    lines = [line(number) for number in range(5_000)]
    content = recording(tmp_path / "r", *lines, pack=pack).read_bytes()
    with piped(tmp_path / "pipe", content) as pipe:
        assert [each.raw for each in read(pipe)] == lines


def test_what_needs_a_file_names_the_pipe_that_it_was_given(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError) as refusal:
        refuse_pipes([recording(tmp_path / "r"), tmp_path / "nowhere", tmp_path / "pipe"], "it is read twice")
    pipe = tmp_path / "pipe"
    assert str(refusal.value) == f"{pipe} can be read only once, and it is read twice: write it to a file first"


def test_a_pipe_that_is_named_twice_is_refused_by_name(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match="pipe can be read only once, and it is named twice"):
        list(merge([tmp_path / "pipe", recording(tmp_path / "r"), tmp_path / "pipe"]))


def test_an_empty_file_is_an_empty_recording(tmp_path):
    assert list(read(recording(tmp_path / "empty"))) == []


def test_a_line_may_lack_the_stream(tmp_path):
    path = recording(tmp_path / "r", b'{"received_at": 5}')
    assert list(read(path)) == [RecordingLine(b'{"received_at": 5}', "", 5, LinePlace(path, 1))]


AT_MS = 1_764_000_000_123
AT_NS = AT_MS * 10**6
TRADE = {"e": "trade", "E": AT_MS, "s": "BTCUSDT", "t": 7, "p": "1.5", "q": "2", "T": AT_MS, "m": True}
USDM_BOOK = {
    "e": "depthUpdate", "E": AT_MS, "T": AT_MS, "s": "BTCUSDT", "U": 1, "u": 7, "pu": 0, "b": [["1", "1"]], "a": [["2", "1"]],
}  # fmt: skip
SPOT_BOOK = {"lastUpdateId": 7, "bids": [["1", "1"]], "asks": [["2", "1"]]}


def read_one(path: Path, document: object) -> tuple[str, int]:
    """Return stream and time of the only line of a recording, whose bytes are unchanged."""
    raw = json.dumps(document).encode()
    (only,) = read(recording(path / "r", raw))
    assert only.raw == raw
    return only.stream, only.received_at_ns


def test_a_venue_neutral_line_has_the_subject_of_its_frame(tmp_path):
    frame = {"schema": "market/1", "venue": "kraken", "kind": "kline", "symbol": "BTC/USD", "received_at": AT_NS}
    assert read_one(tmp_path, frame) == ("market.kraken.kline.BTC%2FUSD", AT_NS)
    assert read_one(tmp_path, {"data": frame, "received_at": AT_NS}) == ("market.kraken.kline.BTC%2FUSD", AT_NS)
    assert read_one(tmp_path, frame | {"kind": "none"}) == ("", AT_NS)


@pytest.mark.parametrize(
    ("payload", "stream"),
    [
        ({"e": "markPriceUpdate", "E": AT_MS, "s": "BTCUSDT"}, "btcusdt@markPrice"),
        ({"e": "aggTrade", "E": AT_MS, "s": "BTCUSDT"}, "btcusdt@aggTrade"),
        ({"e": "forceOrder", "E": AT_MS, "o": {"s": "BTCUSDT"}}, "btcusdt@forceOrder"),
        ({"e": "forceOrder", "E": AT_MS, "o": 7}, ""),
    ],
)
def test_a_bare_payload_of_any_kind_names_its_stream(tmp_path, payload, stream):
    assert read_one(tmp_path, payload) == (stream, AT_NS)


@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize(
    ("stream", "payload"), [("btcusdt@trade", TRADE), ("btcusdt@depth20@100ms", USDM_BOOK)], ids=["trade", "book"]
)
def test_a_line_without_a_time_of_receipt_has_that_of_its_payload(tmp_path, stream, payload, unit):
    assert read_one(tmp_path, {"stream": stream, "data": payload | {"E": AT_MS * unit}}) == (stream, AT_NS)
    assert read_one(tmp_path, {"stream": stream, "data": payload, "received_at": None}) == (stream, AT_NS)


@pytest.mark.parametrize("payload", [TRADE, SPOT_BOOK], ids=["trade", "book"])
def test_a_timestamp_is_a_time_of_receipt_before_the_payloads_own(tmp_path, payload):
    envelope = {"stream": "btcusdt@x", "data": payload, "timestamp": "2025-11-24T16:00:00.781711Z"}
    assert read_one(tmp_path, envelope) == ("btcusdt@x", 1_764_000_000_781_711_000)


@pytest.mark.parametrize("more", [{}, {"received_at": AT_NS + 5}])
@pytest.mark.parametrize(
    ("payload", "stream"),
    [
        (TRADE, "btcusdt@trade"),
        (USDM_BOOK, "btcusdt@depth"),
        ({"e": "kline", "E": AT_MS, "s": "ETHUSDT"}, "ethusdt@kline"),
        ({"e": "trade", "E": AT_MS, "s": "A.B"}, ""),
        ({"e": "outboundAccountPosition", "E": AT_MS}, ""),
    ],
    ids=["trade", "diff", "other", "bad symbol", "no symbol"],
)
def test_without_a_streams_name_symbol_and_kind_of_the_payload_make_one(tmp_path, payload, stream, more):
    at_ns = more.get("received_at", AT_NS)
    assert read_one(tmp_path, payload | more) == (stream, at_ns)
    assert read_one(tmp_path, {"data": payload} | more) == (stream, at_ns)


def test_a_bare_futures_book_is_a_diff_where_no_name_gives_its_depth(tmp_path):
    raw = json.dumps(USDM_BOOK).encode()
    (bare,) = read(recording(tmp_path / "r", raw))
    assert parse(bare.raw, FrameMetadata(bare.stream, 1, bare.received_at_ns)) == SkippedFrame("depthUpdate")


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        ({"stream": "btcusdt@depth20", "data": SPOT_BOOK}, "its payload no time (E): spot books need one"),
        (SPOT_BOOK, "its payload no time (E): spot books need one"),
        ({"stream": "btcusdt@trade", "data": {"s": "BTCUSDT"}}, "its payload no time (E)"),
        ({"result": None, "id": 1}, "its payload no time (E)"),
        ({"stream": "!ticker@arr", "data": [{"E": AT_MS}]}, "its payload no time (E)"),
        ({"stream": "btcusdt@trade", "data": TRADE | {"E": 5}}, "E is no time: 5"),
        ({"data": SPOT_BOOK, "timestamp": "noon"}, "timestamp is no time: noon: spot books need one"),
    ],
)
def test_a_line_without_any_time_is_refused_with_what_is_missing(tmp_path, document, missing):
    path = recording(tmp_path / "r", line(5), json.dumps(document).encode())
    with pytest.raises(RecordingError) as refusal:
        list(read(path))
    assert str(refusal.value) == f"{path}, line 2 has no received_at, and {missing}"


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"[]",
        b'{"received_at": "5"}',
        b'{"received_at": 1e300}',
        b'{"received_at": -1}',
        b'{"stream":"\xff"}',
    ],
)
def test_a_line_that_is_no_envelope_is_named_by_its_number(tmp_path, bad):
    path = recording(tmp_path / "r", line(5), bad)
    with pytest.raises(RecordingError) as refusal:
        list(read(path))
    assert str(refusal.value).startswith(f'{path}, line 2 is not {{"stream", "data", "received_at"}}: ')


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(RecordingError) as refusal:
        list(read(tmp_path / "nowhere"))
    assert str(refusal.value) == f"can't read {tmp_path / 'nowhere'}: No such file or directory"


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(RecordingError, match="Is a directory"):
        list(read(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda packed: packed[:-12], id="cut short"),
        pytest.param(lambda packed: packed[:-8] + b"\0\0\0\0" + packed[-4:], id="wrong checksum"),
        pytest.param(lambda packed: packed[:20] + b"\xff" * 40 + packed[60:], id="bytes overwritten"),
    ],
)
def test_a_damaged_file_is_said_to_be_damaged(tmp_path, damage):
    path = recording(tmp_path / "r.gz", *(line(number) for number in range(500)), pack=True)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RecordingError, match="is damaged or cut short"):
        list(read(path))


def test_of_a_file_that_is_cut_short_what_is_whole_can_be_used(tmp_path):
    # Given random bytes in each line, so that a cut of the packed file takes whole lines with it.
    lines = [line(number, f"{number}-{random.Random(number).random()}") for number in range(2_000)]
    path = recording(tmp_path / "r.gz", *lines, pack=True)
    path.write_bytes(path.read_bytes()[:20_000])
    told: list[str] = []
    used = [each.raw for each in read(path, SalvageReport(told.append))]
    assert 100 < len(used) < len(lines)
    assert used == lines[: len(used)]
    assert len(told) == 1
    assert told[0].startswith(f"{path} is damaged or cut short after line {len(used)}: ")


def test_of_a_plain_file_cut_within_a_line_the_lines_before_can_be_used(tmp_path):
    # What a recorder leaves that is killed while it writes.
    path = recording(tmp_path / "r", line(5), line(6), line(7))
    path.write_bytes(path.read_bytes()[:-9])
    damage = f"{path} is damaged or cut short after line 2: the next one ends in its middle"
    with pytest.raises(RecordingError) as refusal:
        list(read(path))
    assert str(refusal.value) == f"{damage}; --salvage uses what comes before"
    told: list[str] = []
    assert [each.received_at_ns for each in read(path, SalvageReport(told.append))] == [5, 6]
    assert told == [damage]


def test_recordings_merge_by_time_and_each_keeps_its_own_order(tmp_path):
    # The second has a line whose clock ran backwards: 7 after 9 stays after 9.
    one = recording(tmp_path / "one", line(1, "a"), line(5, "a"), line(8, "a"))
    two = recording(tmp_path / "two", line(5, "b"), line(9, "b"), line(7, "b"))
    assert [(each.received_at_ns, each.stream) for each in merge([one, two])] == [
        (1, "a"), (5, "a"), (5, "b"), (8, "a"), (9, "b"), (7, "b"),
    ]  # fmt: skip


@pytest.mark.parametrize("said", ["1764000000.5", "1764000000500", '"1764000000500000"', '"2025-11-24T16:00:00.5Z"'])
def test_lines_are_ordered_by_time_whatever_its_unit(tmp_path: Path, said: str):
    one = recording(tmp_path / "one", b'{"received_at": 1764000000400000000}', b'{"received_at": 1764000000600000000}')
    two = recording(tmp_path / "two", b'{"received_at": %b}' % said.encode())
    assert [each.received_at_ns // 10**8 for each in merge([one, two])] == [17640000004, 17640000005, 17640000006]
