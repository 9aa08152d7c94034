"""What of the input can't be used, and who is told: an error at the first of it, or a count and the first of each kind."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tasks.errors import RecordingError
from tasks.history.id_ranges import IdRanges, Series


class InputReport:
    """Takes what the readers find. This one raises RecordingError at the first row that can't be used."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Call `tell` with a line for what a person should know."""
        self._tell = tell

    def refuse(self, path: Path, line: int, _reason: str, detail: str, /) -> None:
        """Take a row that can't be used; `detail` goes on after its place: "is longer than 2 MiB". Raises RecordingError."""
        raise RecordingError(f"{path}, line {line} {detail}")

    #: Whether readers have each frame of a recording parsed, and tell of those that are refused or skipped.
    checks_frames = False

    #: Whether several files are read, and readers of recordings tell of their ids.
    compares_files = False

    def skip(self, kind: str) -> None:
        """Take a line of a kind that no strategy takes. It is read all the same."""

    def damaged(self, path: Path, whole: int, error: object) -> None:
        """Take a file that can't be read on after line `whole`. Raises RecordingError."""
        raise RecordingError(f"{damage(path, whole, error)}; --salvage uses what comes before")

    def note(self, text: str) -> None:
        """Tell what a person should know."""
        self._tell(text)

    def took(self, path: Path, lines: int, read_bytes: int) -> None:
        """Take how many lines were made of a block of a file, and how many bytes of the file were read for it."""

    def saw(self, path: Path, series: Series, first_id: int | None, last_id: int | None) -> None:
        """Take the ids of a block of a file; None: its events have none."""


def damage(path: Path, whole: int, error: object) -> str:
    """Return the sentence that says from where on a file is not used."""
    return f"{path} is damaged or cut short after line {whole}: {error}"


class SalvageReport(InputReport):
    """Uses what comes before the damage of a file, and tells of it."""

    def damaged(self, path: Path, whole: int, error: object) -> None:
        """Tell of the damage."""
        self._tell(damage(path, whole, error))


class CountingReport(InputReport):
    """Counts what can't be used, by reason, and goes on."""

    def __init__(
        self,
        warn: Callable[[str], None] = lambda _: None,
        advance: Callable[[int], None] = lambda _: None,
        *,
        checks_frames: bool = False,
        compares_files: bool = False,
    ) -> None:
        """Call `warn` with each warning as it comes, and `advance` with the number of further bytes read."""
        super().__init__(warn)
        self._advance = advance
        self.checks_frames = checks_frames
        self.compares_files = compares_files
        self._notes: set[str] = set()
        self._firsts: dict[tuple[Path, str], str] = {}
        self._refused: Counter[tuple[Path, str]] = Counter()
        self._lines: Counter[Path] = Counter()
        self._ranges = IdRanges()
        #: How many lines are of kinds that no strategy takes, by their kind.
        self.skipped: Counter[str] = Counter()
        #: Whether a file is damaged.
        self.is_damaged = False

    def refuse(self, path: Path, line: int, reason: str, detail: str, /) -> None:
        """Count a row that can't be used."""
        self._refused[path, reason] += 1
        self._firsts.setdefault((path, reason), f"{path}, line {line} {detail}")

    def skip(self, kind: str) -> None:
        """Count it."""
        self.skipped[kind] += 1

    def damaged(self, path: Path, whole: int, error: object) -> None:
        """Warn of the damage, and go on with the other files."""
        self.is_damaged = True
        self.note(damage(path, whole, error))

    def note(self, text: str) -> None:
        """Warn of it, if that was not done before."""
        if text not in self._notes:
            self._notes.add(text)
            self._tell(text)

    def took(self, path: Path, lines: int, read_bytes: int) -> None:
        """Count the lines, and tell of the progress."""
        self._lines[path] += lines
        self._advance(read_bytes)

    def saw(self, path: Path, series: Series, first_id: int | None, last_id: int | None) -> None:
        """Widen the range of ids of a file."""
        self._ranges.add(path, series, first_id, last_id)

    @property
    def refused(self) -> Counter[str]:
        """How many rows can't be used, by reason."""
        counts: Counter[str] = Counter()
        for (_, reason), count in self._refused.items():
            counts[reason] += count
        return counts

    def warn_of_refusals(self, paths: list[Path]) -> None:
        """Warn of all that was refused, once everything is read. Raises RecordingError: of a file nothing can be used."""
        for path in paths:
            if not self._lines[path] and (said := self._refusals(path)):
                raise RecordingError(f"nothing in {path} can be used: {said[0]}")
        for text in (*self._refusals(None), *self._ranges.contradictions()):
            self.note(text)

    def _refusals(self, path: Path | None) -> list[str]:
        """Return a sentence for each reason in one file, or in all of them."""
        counts: Counter[str] = Counter()
        firsts: dict[str, str] = {}
        for (where, reason), count in self._refused.items():
            if path in {None, where}:
                counts[reason] += count
                firsts.setdefault(reason, self._firsts[where, reason])
        return [f"{count:,} refused as {reason}, the first: {firsts[reason]}" for reason, count in counts.items()]
