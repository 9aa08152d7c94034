"""Writes the events of a recording into one file a symbol, in chunks, with few of them in memory."""

import hashlib
from pathlib import Path

from tasks.events import AnyEvent, Kind
from tasks.sweep.datasets.dataset import EventChunk, SymbolEvents, append_event, chunk_head

MAX_CHUNK_EVENTS = 2_000
MAX_CHUNK_BYTES = 1024 * 1024
#: Of all symbols together. A reader of all symbols holds a chunk of each: it needs no more memory than this, decoded.
MAX_WAITING_EVENTS = 100_000
MAX_WAITING_BYTES = 16 * 1024 * 1024


class _SymbolFile:
    """The file of one symbol, and the events that wait to be written to it."""

    def __init__(self, path: Path, first: AnyEvent) -> None:
        self._path = path
        self._venue, self._symbol = first.venue, first.symbol
        self._digest = hashlib.sha256()
        self._offset = 0
        self._chunks: list[EventChunk] = []
        self._counts: dict[Kind, int] = {}
        self._ids: dict[Kind, tuple[int, int]] = {}
        self._first_ns = self._last_ns = first.ingested_at_ns
        self._begin_chunk()

    def _begin_chunk(self) -> None:
        self.packed = bytearray()
        self.waiting = 0
        self._first_seq = self._last_seq = self._min_ms = self._max_ms = 0

    def add(self, event: AnyEvent) -> int:
        """Take an event, and return how many bytes it has."""
        before = len(self.packed)
        append_event(event, self.packed)
        kind, time_ms, received_ns = event.kind, event.time_ms, event.ingested_at_ns
        if not self.waiting:
            self._first_seq, self._min_ms, self._max_ms = event.seq, time_ms, time_ms
        self.waiting += 1
        self._last_seq = event.seq
        self._min_ms, self._max_ms = min(self._min_ms, time_ms), max(self._max_ms, time_ms)
        self._first_ns, self._last_ns = min(self._first_ns, received_ns), max(self._last_ns, received_ns)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if (exchange_id := event.exchange_id) is not None:
            first_id, last_id = self._ids.get(kind, (exchange_id, exchange_id))
            self._ids[kind] = min(first_id, exchange_id), max(last_id, exchange_id)
        return len(self.packed) - before

    def flush(self) -> None:
        """Write what waits as a chunk. Raises OSError."""
        head = chunk_head(self.waiting)
        # Opened for each chunk: there may be more symbols than files that a process may have open.
        with self._path.open("ab") as file:
            file.write(head)
            file.write(self.packed)
        self._digest.update(head)
        self._digest.update(self.packed)
        size = len(head) + len(self.packed)
        self._chunks.append(
            EventChunk(
                self._offset, size, self.waiting, self._first_seq, self._last_seq, self._min_ms, self._max_ms
            )
        )  # fmt: skip
        self._offset += size
        self._begin_chunk()

    def finished(self) -> SymbolEvents:
        """Return what is in the file, once everything is written."""
        return SymbolEvents(
            venue=self._venue,
            symbol=self._symbol,
            file=self._path.name,
            events=self._counts,
            ids=self._ids,
            min_ms=min(chunk.min_ms for chunk in self._chunks),
            max_ms=max(chunk.max_ms for chunk in self._chunks),
            first_ns=self._first_ns,
            last_ns=self._last_ns,
            sha256=self._digest.hexdigest(),
            chunks=self._chunks,
        )


class EventFiles:
    """Files of all symbols of a recording in one folder."""

    def __init__(
        self, folder: Path, max_waiting_events: int = MAX_WAITING_EVENTS, max_waiting_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        """Write into `folder`, with at most so many packed events in memory."""
        self._folder = folder
        self._max_events, self._max_bytes = max_waiting_events, max_waiting_bytes
        self._files: dict[tuple[str, str], _SymbolFile] = {}
        self._waiting_events = self._waiting_bytes = 0

    def add(self, event: AnyEvent) -> None:
        """Take an event, in the order of the recording. Raises OSError."""
        key = event.venue, event.symbol
        file = self._files.get(key)
        if file is None:
            # A symbol may have any letters, so its name is none of a file.
            name = f"{len(self._files) + 1:05}.events"
            file = self._files[key] = _SymbolFile(self._folder / name, event)
        self._waiting_bytes += file.add(event)
        self._waiting_events += 1
        if file.waiting >= MAX_CHUNK_EVENTS or len(file.packed) >= MAX_CHUNK_BYTES:
            self._flush(file)
        if self._waiting_events > self._max_events or self._waiting_bytes > self._max_bytes:
            self._flush_largest()

    def finished(self) -> list[SymbolEvents]:
        """Write what is left, and return what is in the files. Raises OSError."""
        for file in self._files.values():
            if file.waiting:
                self._flush(file)
        return [file.finished() for file in self._files.values()]

    def _flush_largest(self) -> None:
        """Write the largest chunk, and those at least half as large: many small ones together."""
        sizes = [(len(file.packed), file) for file in self._files.values()]
        least = max(size for size, _ in sizes) / 2
        for size, file in sizes:
            if size >= least:
                self._flush(file)

    def _flush(self, file: _SymbolFile) -> None:
        self._waiting_events -= file.waiting
        self._waiting_bytes -= len(file.packed)
        file.flush()
