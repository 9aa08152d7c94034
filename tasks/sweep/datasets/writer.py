"""Prepares datasets: reads a file once, and writes its events so that a sweep reads any part of them cheaply."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks.errors import DatasetError, RecordingError
from tasks.events import KINDS
from tasks.frames.model import RefusedFrame, SkippedFrame
from tasks.frames.plausibility import DEFAULT_LIMITS, FrameReader, PlausibilityLimits
from tasks.history import recordings
from tasks.history.id_ranges import Series
from tasks.history.input_options import ALL, InputOptions
from tasks.history.input_report import CountingReport, InputReport
from tasks.sweep.datasets.dataset import FORMAT, Damage, Dataset
from tasks.sweep.datasets.event_files import EventFiles
from tasks.sweep.datasets.folder import DatasetHold, new_folder, publish, remove_leftovers, whole_dataset

Progress = Callable[[int], None]


def prepare(
    path: Path,
    options: InputOptions = ALL,
    limits: PlausibilityLimits = DEFAULT_LIMITS,
    *,
    directory: Path,
    report: InputReport = recordings.STRICT,
    progress: Progress = lambda _: None,
) -> Dataset:
    """Return the dataset of a file, which is parsed if `directory` (RESEARCH_DIR) does not hold it yet.

    Its events are those of a backtest of this file alone under a configuration that takes every kind. `report` is told
    of what can't be used, in either case, and `progress` of how many further bytes of the file are read. Raises
    RecordingError, what `report` raises, and DatasetError: it can't be written.
    """
    recordings.refuse_pipes([path], "a sweep reads it more than once")
    key, size = dataset_key(path, options, limits)
    told = 0

    def advance(read_bytes: int) -> None:
        nonlocal told
        told += read_bytes
        progress(read_bytes)

    remove_leftovers(directory)
    dataset = whole_dataset(directory, key) or _made(_Recording(path, options, limits), key, directory, advance)
    with DatasetHold(directory, key):
        progress(size - told)
    _report_findings(report, path, dataset)
    return dataset


def dataset_key(path: Path, options: InputOptions, limits: PlausibilityLimits) -> tuple[str, int]:
    """Return the key of a file's dataset, which hashes all that decides on its events, and the file's size in bytes.

    The name is among it: it tells the market of public files, and what a row is. Raises RecordingError.
    """
    how = [FORMAT, path.name, options._replace(symbols=frozenset()), sorted(options.symbols), limits]
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise RecordingError(f"can't read {path}: {error.strerror or error}") from None
    return hashlib.sha256(msgspec.json.encode([content, how])).hexdigest(), size


class _Findings(CountingReport):
    """Takes what is found in one file, to be stored."""

    damage: Damage | None = None

    def damaged(self, path: Path, whole: int, error: object) -> None:  # noqa: ARG002 there is one file
        self.damage = Damage(whole, str(error))


class _Recording(NamedTuple):
    """A file, and how it is read."""

    path: Path
    options: InputOptions
    limits: PlausibilityLimits

    def written(self, key: str, folder: Path, progress: Progress) -> Dataset:
        """Write the events into a folder, and return what is there. Raises RecordingError, OSError."""
        notes: list[str] = []
        findings = _Findings(notes.append, progress)
        files, frames = EventFiles(folder), _FrameCounts(self.path)
        reader = FrameReader(self.limits, KINDS)
        for line in recordings.read(self.path, findings, self.options):
            frames.total += 1
            outcome = reader.read(line.raw, line.stream, frames.total, line.received_at_ns)
            if isinstance(outcome, SkippedFrame | RefusedFrame):
                frames.count(outcome, line)
            else:
                files.add(outcome)
        findings.warn_of_refusals([self.path])
        return Dataset(
            key=key,
            name=self.path.name,
            files=files.finished(),
            frames=frames.total,
            skipped=frames.skipped,
            refused=frames.refused,
            refusals=frames.refusals,
            notes=[_placeless(text, self.path) for text in notes],
            damage=findings.damage,
        )


class _FrameCounts:
    """Counts frames without an event as a backtest does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.total = 0
        self.skipped, self.refused = Counter[str](), Counter[str]()
        self.refusals: dict[str, str] = {}

    def count(self, outcome: SkippedFrame | RefusedFrame, line: recordings.RecordingLine) -> None:
        if isinstance(outcome, SkippedFrame):
            self.skipped[outcome.kind] += 1
            return
        self.refused[outcome.reason] += 1
        if outcome.reason not in self.refusals:
            text = f"{line.place or line.stream} is refused: {outcome.detail}"
            self.refusals[outcome.reason] = _placeless(text, self._path)


def _made(recording: _Recording, key: str, directory: Path, progress: Progress) -> Dataset:
    before = _version(recording.path)
    try:
        with new_folder(directory) as folder:
            dataset = recording.written(key, folder, progress)
            if _version(recording.path) != before:
                raise RecordingError(f"{recording.path} was changed while it was read")
            publish(folder, directory, dataset)
    except OSError as error:
        raise DatasetError(f"can't write to {directory} (RESEARCH_DIR): {error.strerror or error}") from None
    return dataset


def _version(path: Path) -> tuple[int, int, int] | None:
    """Return what differs after a file was changed; None: it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _placeless(text: str, path: Path) -> str:
    """Return a sentence with the file's name for its path: an equal file may be elsewhere the next time."""
    return text.replace(str(path), path.name)


def _report_findings(report: InputReport, path: Path, dataset: Dataset) -> None:
    for note in dataset.notes:
        report.note(note)
    for each in dataset.files:
        for kind in each.events:
            report.saw(path, Series(each.venue, each.symbol, kind), *each.ids.get(kind, (None, None)))
    if dataset.damage:
        report.damaged(path, dataset.damage.line, dataset.damage.error)
