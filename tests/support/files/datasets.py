"""Recordings for datasets, and what a backtest would read of them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from compose.local.processes import ROOT
from tasks.events import KINDS, AnyEvent
from tasks.frames import neutral
from tasks.frames.model import RefusedFrame, SkippedFrame
from tasks.frames.plausibility import FrameReader
from tasks.history import recordings
from tasks.history.input_options import ALL, InputOptions
from tasks.sweep.datasets.dataset import Dataset, SymbolEvents

RECORDING = ROOT / "tests/data/recording.jsonl.gz"


def outcomes(path: Path, options: InputOptions = ALL) -> Iterator[AnyEvent | SkippedFrame | RefusedFrame]:
    """Yield what becomes of each line of a file."""
    reader = FrameReader(kinds=KINDS)
    for seq, line in enumerate(recordings.read(path, options=options), start=1):
        yield reader.read(line.raw, line.stream, seq, line.received_at_ns)


def read_events(path: Path, options: InputOptions = ALL) -> list[AnyEvent]:
    """Return the events of a file."""
    return [each for each in outcomes(path, options) if not isinstance(each, SkippedFrame | RefusedFrame)]


def recorded(path: Path, events: Iterable[AnyEvent]) -> Path:
    """Write a recording of venue-neutral frames, with the times of receipt of the events that have one."""
    path.write_bytes(b"".join(_line(event) + b"\n" for event in events))
    return path


def _line(event: AnyEvent) -> bytes:
    frame = neutral.encode(event)
    return b'%b,"received_at":%d}' % (frame[:-1], event.ingested_at_ns) if event.ingested_at_ns else frame


def sources(*datasets: Dataset) -> list[tuple[str, SymbolEvents]]:
    """Return every symbol of datasets as a stream takes them."""
    return [(dataset.key, events) for dataset in datasets for events in dataset.files]
