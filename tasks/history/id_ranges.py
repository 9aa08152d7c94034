"""Which ids each file holds: two files with the same ones, or of different venues, are told of. Pure."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple


class Series(NamedTuple):
    """Events whose ids rise together."""

    venue: str
    symbol: str
    kind: str


class _Range(NamedTuple):
    first: int
    last: int
    path: Path


class IdRanges:
    """The lowest and the highest id of each series in each file."""

    def __init__(self) -> None:
        """Know of none."""
        self._ranges: dict[Series, dict[Path, _Range]] = {}
        #: The first file of each series, also of those without ids.
        self._files: dict[Series, Path] = {}

    def add(self, path: Path, series: Series, first_id: int | None, last_id: int | None) -> None:
        """Widen the range of a file; None: its events have no ids."""
        self._files.setdefault(series, path)
        if first_id is None or last_id is None:
            return
        of_series = self._ranges.setdefault(series, {})
        known = of_series.get(path)
        if known:
            first_id, last_id = min(first_id, known.first), max(last_id, known.last)
        of_series[path] = _Range(first_id, last_id, path)

    def contradictions(self) -> list[str]:
        """Return at most two sentences: on ids that are in two files, and on files of different venues."""
        return [text for each in (self._overlaps(), self._venues()) if (text := next(each, None))]

    def _overlaps(self) -> Iterator[str]:
        for series, by_path in self._ranges.items():
            for one, other in pairwise(sorted(by_path.values())):
                if other.first <= one.last:
                    ids = f"{other.first} to {min(one.last, other.last)}"
                    yield (
                        f"{one.path} and {other.path} overlap in the ids {ids} of {' '.join(series)}: an event that is in "
                        "both counts once"
                    )

    def _venues(self) -> Iterator[str]:
        files: dict[tuple[str, str], dict[str, Path]] = {}
        for series, path in self._files.items():
            files.setdefault((series.symbol, series.kind), {})[series.venue] = path
        for (symbol, _), by_venue in files.items():
            if len(set(by_venue.values())) > 1:
                said = " and ".join(f"{venue} ({path})" for venue, path in by_venue.items())
                yield f"{symbol} comes from {said}: these are markets of their own, each with its own states and signals"
