"""Streams of events out of datasets."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import DatasetError
from tasks.events import KINDS, AnyEvent, Kind, Trade
from tasks.history import recordings
from tasks.sweep.datasets.dataset import Dataset
from tasks.sweep.datasets.folder import dataset_path, remove
from tasks.sweep.datasets.reader import EventStream, StreamPosition
from tasks.sweep.datasets.writer import prepare
from tests.support.events import TIME_MS, book, trade
from tests.support.files.datasets import RECORDING, read_events, recorded, sources
from tests.support.kinds.mixed import mixed


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("research")


@pytest.fixture(scope="module")
def every_kind(directory: Path) -> Path:
    return mixed(RECORDING, 1_500, directory / "mixed.jsonl")


@pytest.fixture(scope="module")
def mixed_dataset(directory: Path, every_kind: Path) -> Dataset:
    return prepare(every_kind, directory=directory)


@pytest.fixture(scope="module")
def mixed_events(every_kind: Path) -> list[AnyEvent]:
    return read_events(every_kind)


def unnumbered(events: Iterable[AnyEvent]) -> list[AnyEvent]:
    return [msgspec.structs.replace(event, seq=0) for event in events]


def resumed(position: StreamPosition) -> StreamPosition:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(position), type=StreamPosition)


def test_events_come_out_as_the_frame_reader_gives_them(directory):
    dataset = prepare(RECORDING, directory=directory)
    with EventStream(directory, sources(dataset)) as stream:
        assert list(stream) == read_events(RECORDING)


def test_events_of_every_kind_come_out_as_they_went_in(directory, mixed_dataset, mixed_events):
    with EventStream(directory, sources(mixed_dataset)) as stream:
        events = list(stream)
    assert events == mixed_events
    assert {event.kind for event in events} == set(KINDS)


@pytest.mark.parametrize("kinds", [{"trade"}, {"depth", "mark_price"}, {"kline", "trade"}])
def test_only_events_of_one_symbol_and_some_kinds_come_out(directory, mixed_dataset, mixed_events, kinds):
    for source in sources(mixed_dataset):
        with EventStream(directory, [source], kinds) as stream:
            of = source[1].venue, source[1].symbol
            assert list(stream) == [
                each for each in mixed_events if (each.venue, each.symbol) == of and each.kind in kinds
            ]


@settings(max_examples=30)
@given(edges=st.tuples(*[st.floats(-0.1, 1.1)] * 2))
def test_only_events_between_two_times_come_out(directory, mixed_dataset, mixed_events, edges):
    begin = min(each.min_ms for each in mixed_dataset.files)
    took = max(each.max_ms for each in mixed_dataset.files) - begin
    from_ms, to_ms = (begin + int(edge * took) for edge in edges)
    with EventStream(directory, sources(mixed_dataset), KINDS, from_ms, to_ms) as stream:
        assert list(stream) == [each for each in mixed_events if from_ms <= each.time_ms < to_ms]


def test_chunks_outside_the_times_are_not_read(tmp_path):
    path = recorded(tmp_path / "long.jsonl", [trade(id=n, time_ms=TIME_MS + n) for n in range(1, 5_001)])
    dataset = prepare(path, directory=tmp_path)
    events = dataset.files[0]
    first, middle, last = events.chunks
    (dataset_path(tmp_path, dataset.key) / events.file).write_bytes(b"\xc1" * first.size)
    with EventStream(tmp_path, sources(dataset), from_ms=last.max_ms + 1) as stream:
        assert list(stream) == []
    with EventStream(tmp_path, sources(dataset), to_ms=first.min_ms) as stream:
        assert list(stream) == []
    with EventStream(tmp_path, sources(dataset), from_ms=middle.max_ms) as stream, pytest.raises(DatasetError):
        next(stream)


def test_a_stream_goes_on_from_every_position(tmp_path):
    path = recorded(
        tmp_path / "short.jsonl",
        [
            each
            for n in range(1, 30)
            for each in (
                trade(id=n, time_ms=TIME_MS + n, symbol=f"S{n % 3}"),
                book(id=n, time_ms=TIME_MS + n, symbol=f"S{n % 2}"),
            )
        ],
    )
    dataset = prepare(path, directory=tmp_path)
    every: list[tuple[Kind, ...]] = [KINDS, ("trade",)]
    for kinds in every:
        with EventStream(tmp_path, sources(dataset), kinds) as stream:
            positions = [stream.position, *(stream.position for _ in stream)]
        with EventStream(tmp_path, sources(dataset), kinds) as stream:
            events = list(stream)
        for done, position in enumerate(positions):
            with EventStream(tmp_path, sources(dataset), kinds, position=resumed(position)) as stream:
                assert list(stream) == events[done:]


def test_a_resumed_stream_reads_no_chunk_before_its_position(tmp_path):
    path = recorded(tmp_path / "long.jsonl", [trade(id=n, time_ms=TIME_MS + n) for n in range(1, 5_001)])
    dataset = prepare(path, directory=tmp_path)
    with EventStream(tmp_path, sources(dataset)) as stream:
        events = [next(stream) for _ in range(4_500)]
        position, rest = stream.position, list(stream)
    assert events + rest == read_events(path)
    file = dataset_path(tmp_path, dataset.key) / dataset.files[0].file
    last = dataset.files[0].chunks[-1]
    file.write_bytes(b"\xc1" * last.offset + file.read_bytes()[last.offset :])
    with EventStream(tmp_path, sources(dataset), position=position) as stream:
        assert list(stream) == rest


TWO_FILES = st.tuples(*[
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from(["S1", "S2", "S3"])), min_size=1, max_size=25)
] * 2)  # fmt: skip


@given(files=TWO_FILES)
def test_two_files_come_in_the_order_in_which_recordings_merge(tmp_path_factory, files):
    """Also where times of receipt are equal, or step back."""
    folder = tmp_path_factory.mktemp("two")
    paths = []
    for number, rows in enumerate(files):
        events = [
            trade(1 + number, id=n, time_ms=TIME_MS, symbol=symbol, ingested_at_ns=TIME_MS * 1_000_000 + at)
            for n, (at, symbol) in enumerate(rows, start=1)
        ]
        paths.append(recorded(folder / f"{number}.jsonl", events))
    datasets = [prepare(path, directory=folder) for path in paths]
    with EventStream(folder, sources(*datasets)) as stream:
        positions = [stream.position]
        merged = []
        for event in stream:
            merged.append(event)
            positions.append(stream.position)
    times = [line.received_at_ns for line in recordings.merge(paths)]
    prices = [recorded_price(line.raw) for line in recordings.merge(paths)]
    found = [(each.ingested_at_ns, each.price) for each in merged if isinstance(each, Trade)]
    assert found == list(zip(times, prices, strict=True))
    assert all(one.seq < other.seq for one, other in pairwise(merged))
    for done, position in enumerate(positions):
        with EventStream(folder, sources(*datasets), position=resumed(position)) as stream:
            assert list(stream) == merged[done:]


def recorded_price(raw: bytes) -> float:
    return float(msgspec.json.decode(raw)["price"])


def test_numbers_in_merged_files_are_the_same_wherever_reading_begins(tmp_path):
    paths = [
        recorded(
            tmp_path / f"{number}.jsonl",
            [trade(id=n, time_ms=TIME_MS + n, ingested_at_ns=(TIME_MS + n) * 10**6 + number) for n in range(1, 50)],
        )
        for number in range(2)
    ]
    datasets = [prepare(path, directory=tmp_path) for path in paths]
    with EventStream(tmp_path, sources(*datasets)) as stream:
        events = list(stream)
    with EventStream(tmp_path, sources(*datasets), from_ms=TIME_MS + 20) as stream:
        assert list(stream) == [event for event in events if event.time_ms >= TIME_MS + 20]
    assert unnumbered(events) == unnumbered(
        sorted([*read_events(paths[0]), *read_events(paths[1])], key=lambda event: event.ingested_at_ns)
    )


def test_a_file_that_is_missing_cut_or_damaged_is_named(tmp_path):
    path = recorded(tmp_path / "trades.jsonl", [trade(id=n, time_ms=TIME_MS + n) for n in range(1, 9)])
    dataset = prepare(path, directory=tmp_path)
    file = dataset_path(tmp_path, dataset.key) / dataset.files[0].file
    whole = file.read_bytes()
    for content, why in (
        (whole[:-1], f"{file} is damaged at byte 0: "),
        (b"", f"{file} is damaged at byte 0: "),
        (b"\xc1" * len(whole), f"{file} is damaged at byte 0: "),
        (b"\xdc\x00\x00" + whole[3:], f"{file} is damaged at byte 0: "),
        (None, f"can't read {file}: No such file or directory"),
    ):
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        with EventStream(tmp_path, sources(dataset)) as stream, pytest.raises(DatasetError) as refused:
            list(stream)
        assert str(refused.value).startswith(why)
        assert "\n" not in str(refused.value)


def test_a_dataset_that_is_not_there_is_named(tmp_path):
    dataset = prepare(recorded(tmp_path / "trades.jsonl", [trade()]), directory=tmp_path)
    folder = dataset_path(tmp_path, dataset.key)
    assert remove(folder)
    with pytest.raises(DatasetError, match=f"^can't read {folder}: No such file or directory$"):
        EventStream(tmp_path, sources(dataset))
