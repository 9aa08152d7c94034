"""Reads the events of datasets in the order in which they arrived, from any position, chunk by chunk."""

import heapq
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from tasks.errors import UNREADABLE, DatasetError
from tasks.events import KINDS, AnyEvent, Kind
from tasks.sweep.datasets.dataset import EventChunk, SymbolEvents, unpack_chunk
from tasks.sweep.datasets.folder import DatasetHold, dataset_path

#: Before and after every time, unix milliseconds.
EVER_MS = -(2**63), 2**63

_seq_of = attrgetter("seq")
_last_seq_of = attrgetter("last_seq")


class StreamPosition(msgspec.Struct, frozen=True, array_like=True):
    """Between two events of a stream."""

    #: By dataset, in the order of the sources: the number of its last event before, in its recording; 0: none.
    seqs: tuple[int, ...]
    #: The number under which the last event came out; 0: none did.
    last_seq: int = 0


class _Cut(NamedTuple):
    """Which events come out."""

    kinds: frozenset[Kind]
    from_ms: int
    to_ms: int

    def of(self, chunk: EventChunk, events: list[AnyEvent], held: Iterable[Kind]) -> list[AnyEvent]:
        """Return those events of a chunk; `held` are the kinds of which there may be some."""
        if not self.kinds.issuperset(held):
            events = [event for event in events if event.kind in self.kinds]
        if chunk.min_ms < self.from_ms or chunk.max_ms >= self.to_ms:
            events = [event for event in events if self.from_ms <= event.time_ms < self.to_ms]
        return events


class EventStream:
    """An iterator over the events of one or several symbols, of one or several recordings. It is a context manager.

    Those of one dataset come in the order of the recording, under their numbers in it. Those of several datasets are
    merged as recordings are, by when they were received, of equals those of the first dataset first; then each is
    renumbered, by that time in nanoseconds, or by one more than the event before: numbers rise, and are the same
    wherever the reading began.
    """

    def __init__(
        self,
        directory: Path,
        sources: Sequence[tuple[str, SymbolEvents]],
        kinds: Collection[Kind] = KINDS,
        from_ms: int = EVER_MS[0],
        to_ms: int = EVER_MS[1],
        position: StreamPosition | None = None,
    ) -> None:
        """Read below `directory` (RESEARCH_DIR) the symbols `sources`, each with the key of its dataset.

        Only events of `kinds` and of a time from `from_ms` on and before `to_ms` come out, those after `position`.
        The datasets are held until `close`. Raises DatasetError: one is not there.
        """
        self._cut = _Cut(frozenset(kinds), from_ms, to_ms)
        keys = list(dict.fromkeys(key for key, _ in sources))
        self._seqs = list(position.seqs) if position else [0] * len(keys)
        self._last_seq = position.last_seq if position else 0
        self._holds: list[DatasetHold] = []
        by_key: dict[str, list[SymbolEvents]] = {key: [] for key in keys}
        for key, events in sources:
            by_key[key].append(events)
        try:
            for key in keys:
                self._holds.append(DatasetHold(directory, key))
        except DatasetError:
            self.close()
            raise
        self._events = self._numbered(
            [self._of_dataset(number, dataset_path(directory, key), by_key[key]) for number, key in enumerate(keys)]
        )

    @property
    def position(self) -> StreamPosition:
        """Where it stands: a stream of the same sources and cut that begins there goes on with the next event."""
        return StreamPosition(tuple(self._seqs), self._last_seq)

    def close(self) -> None:
        """Let the datasets go."""
        for hold in self._holds:
            hold.close()

    def __iter__(self) -> Iterator[AnyEvent]:
        return self._events

    def __next__(self) -> AnyEvent:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _numbered(self, datasets: list[Iterator[AnyEvent]]) -> Iterator[AnyEvent]:
        """Yield the events of all datasets, and take down where each of these stands. Raises DatasetError."""
        if len(datasets) == 1:
            for event in datasets[0]:
                self._seqs[0] = self._last_seq = event.seq
                yield event
            return
        for number, event in _merged(datasets):
            self._seqs[number] = event.seq
            self._last_seq = max(self._last_seq + 1, event.ingested_at_ns)
            yield msgspec.structs.replace(event, seq=self._last_seq)

    def _of_dataset(self, number: int, folder: Path, symbols: list[SymbolEvents]) -> Iterator[AnyEvent]:
        after = self._seqs[number]
        streams = [self._of_symbol(folder, each, after) for each in symbols]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_seq_of)

    def _of_symbol(self, folder: Path, symbol: SymbolEvents, after: int) -> Iterator[AnyEvent]:
        """Yield the events of one symbol whose number is above `after`."""
        cut, path = self._cut, folder / symbol.file
        if cut.kinds.isdisjoint(symbol.events):
            return
        for chunk in symbol.chunks[bisect_right(symbol.chunks, after, key=_last_seq_of) :]:
            if chunk.max_ms < cut.from_ms or chunk.min_ms >= cut.to_ms:
                continue
            events = cut.of(chunk, read_chunk(path, chunk), symbol.events)
            yield from events[bisect_right(events, after, key=_seq_of) :] if chunk.first_seq <= after else events


def _merged(datasets: list[Iterator[AnyEvent]]) -> Iterator[tuple[int, AnyEvent]]:
    """Yield each event with the number of its dataset: the one whose next event was received first goes first.

    A recording whose times step back keeps its order, so this is no sorting.
    """
    heads: list[tuple[int, int, AnyEvent]] = []
    for number, events in enumerate(datasets):
        if (event := next(events, None)) is not None:
            heads.append((event.ingested_at_ns, number, event))
    heapq.heapify(heads)
    while heads:
        _, number, event = heads[0]
        yield number, event
        following = next(datasets[number], None)
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (following.ingested_at_ns, number, following))


def read_chunk(path: Path, chunk: EventChunk) -> list[AnyEvent]:
    """Return the events of a chunk of a file. Raises DatasetError."""
    try:
        # Opened for each chunk: there may be more symbols than files that a process may have open.
        with path.open("rb", buffering=0) as file:
            file.seek(chunk.offset)
            packed = file.read(chunk.size)
        events = unpack_chunk(packed)
    except OSError as error:
        raise DatasetError(f"can't read {path}: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise DatasetError(f"{path} is damaged at byte {chunk.offset:,}: {error}") from None
    if len(events) != chunk.events:
        raise DatasetError(f"{path} is damaged at byte {chunk.offset:,}: {len(events)} events, not {chunk.events}")
    return events
