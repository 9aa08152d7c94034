"""A recording in parts, each the continuation of the one before."""

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

from tasks import backtest, configuration
from tasks.history import recordings
from tasks.settings import Settings


class Part(NamedTuple):
    """A part, and how many events are applied by the end of it."""

    file: Path
    applied: int


def write_parts(recording: Path, directory: Path, size: int) -> Iterator[Part]:
    """Write and yield one part after the other, each with so many frames, and the sum that a backtest has by then."""
    test = backtest.Backtest(configuration.read(Settings().strategies_file))
    lines = recordings.read(recording)
    for number in count():
        part = directory / f"{number}.jsonl"
        part.write_bytes(b"".join(line.raw + b"\n" for line in islice(lines, size)))
        test.work(recordings.merge([part]))
        yield Part(part, test.ledger.counts.of("applied"))
