"""From the sources of a part to the stream of their events."""

from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path

from tasks.errors import DatasetError
from tasks.events import Kind
from tasks.sweep.block import EventSource
from tasks.sweep.datasets.dataset import Dataset, SymbolEvents
from tasks.sweep.datasets.folder import read_index
from tasks.sweep.datasets.reader import EventStream, StreamPosition

#: A day of a busy symbol has an index of some 100 kB.
_index = lru_cache(maxsize=64)(read_index)


def open_stream(
    directory: Path,
    sources: Sequence[EventSource],
    kinds: Collection[Kind],
    from_ms: int,
    to_ms: int,
    position: StreamPosition | None,
) -> EventStream:
    """Return the events of a part's sources from a position on. Raises DatasetError: one is not there."""
    found = [(each.dataset, _events(_index(directory, each.dataset), each)) for each in sources]
    return EventStream(directory, found, kinds, from_ms, to_ms, position)


def _events(dataset: Dataset, source: EventSource) -> SymbolEvents:
    for each in dataset.files:
        if (each.venue, each.symbol) == (source.venue, source.symbol):
            return each
    raise DatasetError(f"dataset {dataset.key} has no {source.venue} {source.symbol}")
