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
from tasks.recordings import Line, merge, read, refuse_pipes


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
        Line(line(5), "btcusdt@trade", 5),
        Line(line(6, "ethusdt@depth20"), "ethusdt@depth20", 6),
    ]


@contextmanager
def piped(path: Path, content: bytes) -> Iterator[Path]:
    """Give a named pipe into which somebody writes, a little at a time."""
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


def test_an_empty_file_is_an_empty_recording(tmp_path):
    assert list(read(recording(tmp_path / "empty"))) == []


def test_a_line_may_lack_the_stream_but_not_the_time(tmp_path):
    assert list(read(recording(tmp_path / "r", b'{"received_at": 5}'))) == [Line(b'{"received_at": 5}', "", 5)]


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"[]",
        b'{"stream": "btcusdt@trade"}',
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
    used = [each.raw for each in read(path, told.append)]
    assert 100 < len(used) < len(lines)
    assert used == lines[: len(used)]
    assert len(told) == 1
    assert told[0].startswith(f"{path} is damaged or cut short after line {len(used)}: ")


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
