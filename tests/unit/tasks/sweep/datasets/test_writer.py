"""Preparing datasets."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compose.local.processes import ROOT
from tasks.errors import DatasetError, RecordingError
from tasks.frames.model import RefusedFrame, SkippedFrame
from tasks.frames.plausibility import PlausibilityLimits
from tasks.history.input_options import ALL
from tasks.history.input_report import CountingReport
from tasks.sweep.datasets.dataset import Dataset
from tasks.sweep.datasets.event_files import EventFiles
from tasks.sweep.datasets.folder import dataset_path
from tasks.sweep.datasets.reader import EventStream, read_chunk
from tasks.sweep.datasets.writer import prepare
from tests.support.events import TIME_MS, trade
from tests.support.files.datasets import RECORDING, outcomes, read_events, recorded, sources
from tests.support.kinds.mixed import mixed
from tests.support.waiting import wait_for

#: Prepares a file, and stops for ever at the first progress beyond some bytes.
STOPPED = """
import sys, time
from pathlib import Path
from tasks.sweep.datasets.writer import prepare

read = 0

def stop(further):
    global read
    read += further
    if read > int(sys.argv[3]):
        Path(sys.argv[4]).touch()
        time.sleep(3600)

prepare(Path(sys.argv[1]), directory=Path(sys.argv[2]), progress=stop)
"""


def trades(path: Path, count: int = 3, symbol: str = "BTCUSDT") -> Path:
    return recorded(path, [trade(100.0, id=n, time_ms=TIME_MS + n, symbol=symbol) for n in range(1, count + 1)])


def folders(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "data").iterdir())


def forbidden(*_: object) -> None:
    raise AssertionError("it is parsed again")


def test_counts_of_a_dataset_are_those_of_the_recording(tmp_path):
    dataset = prepare(RECORDING, directory=tmp_path)
    said = list(outcomes(RECORDING))
    events = read_events(RECORDING)
    assert (dataset.name, dataset.frames, dataset.events) == (RECORDING.name, len(said), len(events))
    assert dataset.skipped == Counter(each.kind for each in said if isinstance(each, SkippedFrame))
    assert dataset.refused == Counter(each.reason for each in said if isinstance(each, RefusedFrame))
    for each in dataset.files:
        mine = [event for event in events if (event.venue, event.symbol) == (each.venue, each.symbol)]
        assert each.events == Counter(event.kind for event in mine)
        assert (each.min_ms, each.max_ms) == (min(e.time_ms for e in mine), max(e.time_ms for e in mine))
        assert (each.first_ns, each.last_ns) == (mine[0].ingested_at_ns, mine[-1].ingested_at_ns)
        assert each.size == (dataset_path(tmp_path, dataset.key) / each.file).stat().st_size


def test_chunks_say_what_is_in_them(tmp_path):
    dataset = prepare(mixed(RECORDING, 6_000, tmp_path / "mixed.jsonl"), directory=tmp_path)
    assert max(len(each.chunks) for each in dataset.files) > 1
    for each in dataset.files:
        for chunk in each.chunks:
            events = read_chunk(dataset_path(tmp_path, dataset.key) / each.file, chunk)
            assert (chunk.first_seq, chunk.last_seq) == (events[0].seq, events[-1].seq)
            times = [event.time_ms for event in events]
            assert (chunk.events, chunk.min_ms, chunk.max_ms) == (len(events), min(times), max(times))


def test_few_events_wait_in_memory_however_many_symbols_there_are(tmp_path):
    events = [trade(100.0, id=n, seq=n, symbol=f"S{n % 50}") for n in range(1, 1_001)]
    files = EventFiles(tmp_path, max_waiting_events=100)
    for event in events:
        files.add(event)
        waiting = sum(each.waiting for each in files._files.values())
        assert waiting == files._waiting_events <= 100
        assert files._waiting_bytes == sum(len(each.packed) for each in files._files.values())
    found = files.finished()
    read = [event for each in found for chunk in each.chunks for event in read_chunk(tmp_path / each.file, chunk)]
    assert sorted(read, key=lambda event: event.seq) == events


def test_a_file_is_parsed_once(tmp_path, monkeypatch):
    path = trades(tmp_path / "trades.jsonl")
    first = prepare(path, directory=tmp_path)
    monkeypatch.setattr("tasks.sweep.datasets.writer.FrameReader", forbidden)
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / path.name
    copy.write_bytes(path.read_bytes())
    assert prepare(copy, directory=tmp_path) == first


def test_another_content_name_or_reading_is_another_dataset(tmp_path):
    path = trades(tmp_path / "trades.jsonl")
    keys = [
        prepare(path, directory=tmp_path).key,
        prepare(trades(tmp_path / "other.jsonl"), directory=tmp_path).key,
        prepare(path, ALL._replace(book_interval_ms=50), directory=tmp_path).key,
        prepare(path, ALL._replace(venue="spot"), directory=tmp_path).key,
        prepare(path, ALL._replace(symbols=frozenset({"BTCUSDT"})), directory=tmp_path).key,
        prepare(path, limits=PlausibilityLimits(max_book_jump=0.5), directory=tmp_path).key,
        prepare(trades(path, 4), directory=tmp_path).key,
    ]
    assert len(set(keys)) == len(keys)
    assert folders(tmp_path) == sorted(keys)


def test_a_dataset_with_a_file_missing_or_cut_is_made_again(tmp_path):
    path = trades(tmp_path / "trades.jsonl")
    dataset = prepare(path, directory=tmp_path)
    file = dataset_path(tmp_path, dataset.key) / dataset.files[0].file
    whole = file.read_bytes()
    for damage in (file.unlink, lambda: file.write_bytes(whole[:-1])):
        damage()
        with EventStream(tmp_path, sources(dataset)):  # In use or not.
            assert prepare(path, directory=tmp_path) == dataset
        assert file.read_bytes() == whole
    assert folders(tmp_path) == [dataset.key]


def test_two_that_prepare_the_same_at_once_both_have_it(tmp_path):
    path = trades(tmp_path / "trades.jsonl", 500)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: prepare(path, directory=tmp_path), range(4)))
    assert made == [made[0]] * 4
    assert folders(tmp_path) == [made[0].key]


def test_a_folder_taken_for_a_leftover_as_it_is_made_is_made_again(tmp_path, monkeypatch):
    chmod, taken = Path.chmod, list[Path]()

    def remove_first(folder: Path, mode: int) -> None:
        if not taken:
            taken.append(folder)
            folder.rmdir()
        chmod(folder, mode)

    monkeypatch.setattr(Path, "chmod", remove_first)
    made = prepare(trades(tmp_path / "trades.jsonl", 500), directory=tmp_path)
    assert folders(tmp_path) == [made.key]
    assert taken


@pytest.mark.parametrize("read_bytes", [0, 400_000, 10**9])
def test_a_process_that_is_killed_leaves_nothing_half(tmp_path, read_bytes):
    mark = tmp_path / "stopped"
    path = tmp_path / "recording.jsonl"
    path.write_bytes(gzip.decompress(RECORDING.read_bytes())[:1_000_000].rpartition(b"\n")[0])
    arguments = [sys.executable, "-c", STOPPED, str(path), str(tmp_path), str(read_bytes), str(mark)]
    with subprocess.Popen(arguments, cwd=ROOT) as process:
        try:
            wait_for(lambda: mark.exists() or process.poll() is not None, "the stop")
        finally:
            process.send_signal(signal.SIGKILL)
    left = folders(tmp_path)
    dataset = prepare(path, directory=tmp_path)
    # What is whole is taken, and what is not is removed.
    assert len(left) == 1
    assert (left == [dataset.key]) == (read_bytes == 10**9) == (not mark.exists())
    assert folders(tmp_path) == [dataset.key]
    with EventStream(tmp_path, sources(dataset)) as stream:
        assert list(stream) == read_events(path)


def test_what_a_living_process_makes_is_no_leftover(tmp_path):
    path = trades(tmp_path / "trades.jsonl")
    other = trades(tmp_path / "other.jsonl")
    inner: list[Dataset] = []

    def meanwhile(_: int) -> None:
        if not inner:
            inner.append(prepare(other, directory=tmp_path))

    dataset = prepare(path, directory=tmp_path, progress=meanwhile)
    assert folders(tmp_path) == sorted([dataset.key, inner[0].key])


def test_damage_is_told_each_time_and_what_comes_before_it_is_kept(tmp_path):
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(RECORDING.read_bytes()[:100_000])
    for _ in range(2):
        told: list[str] = []
        report = CountingReport(told.append)
        dataset = prepare(path, directory=tmp_path, report=report)
        assert report.is_damaged
        assert [text.partition(" after line ")[0] for text in told] == [f"{path} is damaged or cut short"]
        assert dataset.events > 0
        with pytest.raises(RecordingError, match="is damaged or cut short after line"):
            prepare(path, directory=tmp_path)


def test_rows_and_frames_that_cannot_be_used_are_told_each_time(tmp_path):
    path = trades(tmp_path / "trades.jsonl")
    path.write_bytes(path.read_bytes() + b"nonsense\n" + json.dumps(
        {"stream": "btcusdt@trade", "data": {"e": "trade"}, "received_at": TIME_MS * 10**6}
    ).encode() + b"\n")  # fmt: skip
    for _ in range(2):
        told: list[str] = []
        dataset = prepare(path, directory=tmp_path, report=CountingReport(told.append))
        assert [text.partition(" is not ")[0] for text in told] == [
            "1 refused as not_an_envelope, the first: trades.jsonl, line 4"
        ]
        assert [text.partition(" is refused: ")[0] for text in dataset.refusals.values()] == ["trades.jsonl, line 5"]
        assert sum(dataset.refused.values()) == 1


def test_ids_that_two_files_share_are_told_each_time(tmp_path):
    paths = [trades(tmp_path / name) for name in ("one.jsonl", "two.jsonl")]
    for _ in range(2):
        told: list[str] = []
        report = CountingReport(told.append, compares_files=True)
        for path in paths:
            prepare(path, directory=tmp_path, report=report)
        report.warn_of_refusals(paths)
        assert len(told) == 1
        assert "overlap in the ids 1 to 3 of spot BTCUSDT trade" in told[0]


def test_progress_adds_up_to_the_size_of_the_file(tmp_path):
    for _ in range(2):
        steps: list[int] = []
        prepare(RECORDING, directory=tmp_path, progress=steps.append)
        assert sum(steps) == RECORDING.stat().st_size
        assert min(steps) >= 0


def test_a_file_that_changes_while_it_is_read_makes_no_dataset(tmp_path):
    path = trades(tmp_path / "trades.jsonl")

    def change(_: int) -> None:
        os.utime(path, ns=(0, 0))

    with pytest.raises(RecordingError, match=r"trades.jsonl was changed while it was read$"):
        prepare(path, directory=tmp_path, progress=change)
    assert folders(tmp_path) == []


def test_what_cannot_be_prepared_is_refused_in_one_line(tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    (nonsense := tmp_path / "nonsense.jsonl").write_text("{}\n")
    for path, why in (
        (pipe, "pipe can be read only once, and a sweep reads it more than once: write it to a file first"),
        (tmp_path / "missing", "can't read .*missing: No such file or directory"),
        (nonsense, "nothing in .*nonsense.jsonl can be used"),
    ):
        with pytest.raises(RecordingError, match=why):
            prepare(path, directory=tmp_path)
    (file := tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match=r"can't write to .*file \(RESEARCH_DIR\): Not a directory"):
        prepare(trades(tmp_path / "trades.jsonl"), directory=file)
