"""What every exported table is made from: the recordings to read, and the rows that come out one by one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tasks.export.columns import SCHEMA_VERSION, TableSchema
from tasks.frames.plausibility import DEFAULT_LIMITS, PlausibilityLimits
from tasks.history import input_options, recordings
from tasks.history.input_report import InputReport, SalvageReport
from tasks.version import VERSION

#: How many lines there are from one call of `progress` to the next.
PROGRESS_LINES = 1_000


def _ignore(_: object) -> None:
    """Take what nobody asked for."""


class RecordingInput(NamedTuple):
    """The recordings to read, merged by the time of receipt, and how."""

    paths: Sequence[Path]
    #: Only these, as spelled or in lower case; none: all.
    symbols: Sequence[str] = ()
    #: Whether of a damaged file what comes before the damage is used; `warn` is then called with each damage.
    salvage: bool = False
    limits: PlausibilityLimits = DEFAULT_LIMITS
    #: The venue of files that don't name theirs; empty: as their columns tell. A single symbol is that of files that name none.
    venue: str = ""
    warn: Callable[[str], None] = _ignore
    #: Called periodically with the number of further lines read.
    progress: Callable[[int], None] = _ignore

    def lines(self) -> Iterator[recordings.RecordingLine]:
        """Yield every line. Raises RecordingError."""
        number = 0
        report = SalvageReport(self.warn) if self.salvage else InputReport(self.warn)
        # Symbols are filtered by the tables, so that what is not there can be told.
        options = input_options.options(",".join(self.symbols), self.venue)._replace(symbols=frozenset())
        for number, line in enumerate(recordings.merge(self.paths, report, options), start=1):
            yield line
            if number % PROGRESS_LINES == 0:
                self.progress(PROGRESS_LINES)
        self.progress(number % PROGRESS_LINES)

    def metadata(self, schema: TableSchema, **more: str) -> dict[str, str]:
        """Return what a file says of itself: its table and schema version, our version, the recordings' names."""
        names = msgspec.json.encode([path.name for path in self.paths]).decode()
        said = {"table": schema.name, "schema_version": SCHEMA_VERSION, "program_version": VERSION, "recordings": names}
        return said | more

    @property
    def nothing(self) -> str:
        """A line for recordings without any frame."""
        return f"there is nothing in {', '.join(map(str, self.paths))}"


class RowSource(NamedTuple):
    """A table that is read row by row, once."""

    schema: TableSchema
    #: The objects that the columns' cells are read from. Raises RecordingError while it is read.
    rows: Iterator[Any]
    metadata: Mapping[str, str]
    #: Returns what a person should know of what was read, a line each; complete once all rows are read.
    findings: Callable[[], list[str]]
