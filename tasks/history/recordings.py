"""Files of market data as the lines of a recording: opened, told apart by what is in them, merged and cut.

Of what can't be used a report is told: by default it raises RecordingError.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from io import BufferedReader
from pathlib import Path

from tasks.errors import RecordingError
from tasks.history import npz, packed, recording, tardis, vision
from tasks.history.input_options import ALL, InputOptions
from tasks.history.input_report import CountingReport, InputReport
from tasks.history.line_source import MAX_LINE_BYTES, LineSource
from tasks.history.recording_line import RecordingLine
from tasks.history.time_order import Source, merged

__all__ = ["MAX_LINE_BYTES", "RecordingLine", "merge", "read", "refuse_pipes"]

STRICT = InputReport()
_KNOWN = "recordings, Binance's trades and aggTrades, files of Tardis and of hftbacktest"


def read(path: Path, report: InputReport = STRICT, options: InputOptions = ALL) -> Iterator[RecordingLine]:
    """Yield the lines of a file; from a pipe too, because it is opened once and read from its start to its end.

    Raises RecordingError: no such file, of no known format, or what `report` raises.
    """
    _verify(path)
    return _read(path, report, options)


def _read(path: Path, report: InputReport, options: InputOptions) -> Iterator[RecordingLine]:
    try:
        with path.open("rb") as file:
            yield from _cut(path, file, report, options)
    except OSError as error:
        message = f"can't read {path}: {error.strerror or error}"
        raise RecordingError(message) from None


def merge(paths: Iterable[Path], report: InputReport = STRICT, options: InputOptions = ALL) -> Iterator[RecordingLine]:
    """Yield the lines of several files by `received_at`, each file in its own order. Raises RecordingError."""
    paths = list(paths)
    twice = [path for path, count in Counter(paths).items() if count > 1]
    refuse_pipes(twice, "it is named twice")
    for path in twice:
        report.note(f"{path} is named twice: an event with an id counts once")
    return merged(
        Source(_first_ns(path, options) if len(paths) > 1 else 0, partial(read, path, report, options))
        for path in paths
    )


def _first_ns(path: Path, options: InputOptions) -> int:
    """Return the time of a file's first line, unix nanoseconds, or an earlier one. Raises RecordingError."""
    if not path.is_file():
        return 0
    uncut = options._replace(symbols=frozenset(), from_ns=ALL.from_ns, to_ns=ALL.to_ns)
    first = next(_read(path, CountingReport(), uncut), None)
    return first.received_at_ns if first else 0


def refuse_pipes(paths: Iterable[Path], why: str) -> None:
    """Raise RecordingError for what can be read only once, such as a pipe; `why` is the reason why a file is needed."""
    for path in paths:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise RecordingError(f"{path} can be read only once, and {why}: write it to a file first")


def _cut(path: Path, file: BufferedReader, report: InputReport, options: InputOptions) -> Iterator[RecordingLine]:
    """Yield the lines that are wanted, and tell the report of each block."""
    at = 0
    for block in _until_damage(path, file, report, options):
        now = file.tell() if file.seekable() else 0
        report.took(path, len(block), now - at)
        at = now
        if options.cuts:
            yield from (line for line in block if options.from_ns <= line.received_at_ns < options.to_ns)
        else:
            yield from block


def _until_damage(
    path: Path, file: BufferedReader, report: InputReport, options: InputOptions
) -> Iterator[list[RecordingLine]]:
    source: LineSource | npz.NpzFile | None = None
    try:
        member, content = packed.zip_member(path, file) if packed.is_zip(file) else ("", packed.unpacked(file))
        if member.endswith(".npy"):
            source = array = npz.NpzFile(path, content, report, npz.numpy())
            yield from array.blocks(path.name, options)
            return
        source = text = LineSource(path, content, report)
        yield from _blocks(text, f"{member} {path.name}", report, options)
    except packed.DAMAGE as error:
        report.damaged(path, source.number if source else 0, error)


def _blocks(
    source: LineSource, names: str, report: InputReport, options: InputOptions
) -> Iterator[list[RecordingLine]]:
    """Return the blocks of a file of whichever format; `names` are its own and that of what is packed in it.

    Raises RecordingError: it is of none.
    """
    first = source.first()
    if not first or first[:1] in b"{[" or len(first) > MAX_LINE_BYTES:
        return recording.read(source, options, report)
    if recording.COLLECTED.match(first):
        return recording.read_collected(source, options, report)
    if first.startswith(tardis.HEAD):
        return tardis.read(source, options, report)
    if table := vision.table_of(first, names):
        return vision.read(source, names, table, options, report)
    if ".jsonl" in names:
        return recording.read(source, options, report)
    shown = first[:60].decode("utf-8", "replace")
    raise RecordingError(f"{source.path} is of no known format ({_KNOWN}): it begins with {shown!r}")


def _verify(path: Path) -> None:
    """Compare a file with the checksum beside it, if there is one. Raises RecordingError: it is another file's."""
    beside = path.with_name(f"{path.name}.CHECKSUM")
    try:
        if not path.name or not beside.is_file():
            return
        said = beside.read_text("utf-8", "replace").split()[:1]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecordingError(f"can't read {error.filename or path}: {error.strerror or error}") from None
    if [each.lower() for each in said] != [found]:
        raise RecordingError(f"{path} is not the file of {beside.name}: download it again, or remove {beside.name}")
