"""A process's note of what it runs, in a file that outlives it: which batch, and which strategy works on which event.

A few stores into mapped memory, no system call: the watcher of the process maps the same file.
"""

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import RunProgress
from tasks.events import AnyEvent
from tasks.protocol.batches import Batch
from tasks.protocol.strikes import RunningBatch
from tasks.worker import worker_metrics

#: The note of a solo worker's only process, and how the names of others begin.
SOLO, CHILD = "solo", "run-"
_SIZE_BYTES = 16_384
#: Number of the task, 0 for none; bytes of the header; position of the event; number of the strategy, 0 for none; for
#: how long it was seen at it, in milliseconds; how long the task may take, in milliseconds, 0 for the limit of a run.
_WORDS = struct.Struct("=6Q")
_TASK, _HEADER, _PLACE, _SEEN, _LIMIT = 0, 1, 2, 4, 5
_SEEN_AT = 8 * _SEEN


class RunPosition(NamedTuple):
    """Position of a run: its batch, the event and the strategy."""

    #: Rises with each task of the process; 0: it runs none.
    task: int
    batch: RunningBatch | None
    seq: int
    #: The strategy whose code runs; empty: none.
    strategy: str
    #: How long the task may take; 0: as long as any run.
    limit_s: float = 0.0


def of_child(directory: Path, pid: int) -> Path:
    """Return the note of a process of the pool."""
    return directory / f"{CHILD}{pid}"


class RunNote:
    """The note of this process, in mapped memory."""

    def __init__(self, file: Path) -> None:
        """Make the file."""
        with file.open("wb+") as opened:
            opened.truncate(_SIZE_BYTES)
            self._bytes = mmap.mmap(opened.fileno(), _SIZE_BYTES)
        self._words = memoryview(self._bytes)[: _WORDS.size].cast("Q")
        self._tasks = 0

    def begin(self, limit_s: float = 0.0) -> None:
        """Note that a task begins, or begins again to be measured; `limit_s` is how long it may take, if not a run."""
        self._tasks += 1
        self._words[_LIMIT] = round(limit_s * 1_000)
        self._words[_TASK] = self._tasks

    def end(self) -> None:
        """Note that it has ended, however it did."""
        self._words[_PLACE + 1] = 0
        self._words[_TASK] = 0

    def note_batch(self, batch: Batch[AnyEvent], strategies: Sequence[BoundStrategy]) -> RunProgress | None:
        """Note the batch that is run; return where its run writes its progress, None: the note would be too long."""
        packed = msgspec.json.encode(RunningBatch.of(batch, [strategy.name for strategy in strategies]))
        self._words[_PLACE + 1] = self._words[_HEADER] = 0
        if len(packed) > _SIZE_BYTES - _WORDS.size:
            return None
        self._bytes[_WORDS.size : _WORDS.size + len(packed)] = packed
        self._words[_HEADER] = len(packed)
        return self._words[_PLACE:_SEEN]


@lru_cache(maxsize=1)
def of_process() -> RunNote | None:
    """Return the note of this process; None: it is no worker's, and nobody watches it."""
    directory = worker_metrics.directory()
    if directory is None:
        return None
    return RunNote(of_child(directory, os.getpid()) if worker_metrics.is_child() else directory / SOLO)


@contextmanager
def noted(limit_s: float = 0.0) -> Iterator[None]:
    """Note that this process runs a task, for as long as the block lasts; `limit_s` is as for `RunNote.begin`."""
    note = of_process()
    if note is None:
        yield
        return
    note.begin(limit_s)
    try:
        yield
    finally:
        note.end()


def read(file: Path) -> RunPosition:
    """Return where the process of this file is, or was when it ended.

    Raises OSError, or msgspec's errors in mid-write.
    """
    packed = file.read_bytes().ljust(_WORDS.size, b"\0")
    task, header, seq, number, _, limit_ms = _WORDS.unpack_from(packed)
    batch = msgspec.json.decode(packed[_WORDS.size : _WORDS.size + header], type=RunningBatch) if header else None
    named = batch.strategies if batch else ()
    return RunPosition(task, batch, seq, named[number - 1] if 0 < number <= len(named) else "", limit_ms / 1_000)


def write_seen(file: Path, seen_s: float) -> None:
    """Add to the note for how long its process was seen at what it is at. Raises OSError."""
    with file.open("r+b", buffering=0) as opened:
        opened.seek(_SEEN_AT)
        opened.write(struct.pack("=Q", round(seen_s * 1000)))


def read_seen(file: Path) -> float:
    """Return what `write_seen` wrote last, in seconds. Raises OSError."""
    return float(_WORDS.unpack_from(file.read_bytes().ljust(_WORDS.size, b"\0"))[_SEEN]) / 1000
