"""Files of market data become one recording: merged by time, cut, and written whole or not at all."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.feeds import record
from tasks.cli.command_line import Console
from tasks.errors import RecordingError
from tasks.history import packed, recordings
from tasks.history.input_options import InputOptions
from tasks.history.input_report import CountingReport
from tasks.history.recordings import RecordingLine

#: Lines that are packed at once.
CHUNK_LINES = 2_000
#: Chunks that wait to be packed, which is done beside the reading: more take memory.
_MAX_WAITING = 16


class ConversionResult(NamedTuple):
    """What was written, and what of it no strategy takes."""

    lines: int
    #: Of these, by the name of the kind.
    skipped: dict[str, int]
    #: Whether a file was damaged, and only its readable part was used.
    is_damaged: bool


def convert(
    paths: list[Path], out: Path, options: InputOptions, warn: Callable[[str], None], *, force: bool
) -> ConversionResult:
    """Write `paths` as one recording, packed as the name of `out` says; `warn` is told what can't be used.

    Until all is written, there is no file of that name, or still the one of before. Raises RecordingError, also when
    there is nothing to write.
    """
    record.check_file(out, force=force)
    if out.exists() and any(path.exists() and path.samefile(out) for path in paths):
        raise RecordingError(f"{out} is one of the files to read")
    with _progress(paths) as advance:
        report = CountingReport(warn, advance, checks_frames=True)
        with _whole(out, force=force) as file:
            written = _write(file, out, recordings.merge(paths, report, options))
            report.warn_of_refusals(paths)
            if not written:
                raise RecordingError(options.nothing(paths))
    return ConversionResult(written, dict(report.skipped), report.is_damaged)


def _write(file: BinaryIO, out: Path, lines: Iterator[RecordingLine]) -> int:
    """Pack lines into a file, and return their number. Raises RecordingError, OSError."""
    written = 0
    waiting: deque[Future[int]] = deque()
    with ExitStack() as stack:
        packer = packed.open_packer(file, out.suffix)
        if packer is not file:
            stack.enter_context(packer)
        thread = stack.enter_context(ThreadPoolExecutor(1))
        while chunk := [line.raw for line in islice(lines, CHUNK_LINES)]:
            written += len(chunk)
            waiting.append(thread.submit(packer.write, b"\n".join((*chunk, b""))))
            if len(waiting) > _MAX_WAITING:
                waiting.popleft().result()
        for each in waiting:
            each.result()
    return written


@contextmanager
def _whole(out: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Yield a file that is put in the place of `out` once it is whole, and removed when it never is.

    Raises RecordingError: it can't be written, or there is one by then.
    """
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if force:
            part.replace(out)
        else:
            # Unlike a move, it fails where somebody has made the file meanwhile.
            out.hardlink_to(part)
    except FileExistsError:
        raise RecordingError(f"{out} is there already; --force replaces it") from None
    except OSError as error:
        raise RecordingError(f"can't write {out}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress(paths: list[Path]) -> Iterator[Callable[[int], None]]:
    """Yield what is called with the number of further bytes read; on a terminal it moves a bar."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        sizes = [path.stat().st_size if path.is_file() else None for path in paths]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        bar = progress.add_task("reading", total=total)
        yield lambda count: progress.advance(bar, count)
