"""Recordings: newline-delimited JSON, optionally gzipped, one envelope a line, in arrival order.

{"stream": "btcusdt@trade", "data": {...}, "received_at": 1723161254087896568}
"""

import gzip
import heapq
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Annotated

import msgspec

from tasks import times
from tasks.errors import UNREADABLE, RecordingError

#: A frame has 1 MiB at most; the rest is for its envelope. So a bomb of zeros takes no memory.
MAX_LINE_BYTES = 2 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
#: Is told, in a line, that a file is damaged and from where on nothing of it is used.
Salvage = Callable[[str], None]


class Line(msgspec.Struct, frozen=True):
    """One line of a recording."""

    #: The envelope's bytes, without the newline.
    raw: bytes
    stream: str
    #: The recorder's clock, unix nanoseconds; what is no plausible time only orders the lines.
    received_at_ns: int


class _Envelope(msgspec.Struct):
    received_at: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | float | str
    stream: str = ""


_decoder = msgspec.json.Decoder(_Envelope)


def read(path: Path, salvage: Salvage | None = None) -> Iterator[Line]:
    """Yield the lines of a recording; from a pipe too, because it is opened once and read from its start to its end.

    Raises RecordingError: no such file, cut short, or not a recording. With `salvage` a packed file that is damaged ends
    where the damage begins, and `salvage` is told of it.
    """
    number = 0
    try:
        with path.open("rb") as file, _unpacked(file) as lines:
            for number, raw in enumerate(iter(partial(lines.readline, MAX_LINE_BYTES), b""), start=1):
                if len(raw) == MAX_LINE_BYTES:
                    raise RecordingError(f"{path}, line {number} is longer than {MAX_LINE_BYTES >> 20} MiB")
                if line := raw.rstrip():
                    yield _line(path, number, line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        damage = f"{path} is damaged or cut short after line {number}: {error}"
        if salvage is None:
            raise RecordingError(f"{damage}; --salvage uses what comes before") from None
        salvage(damage)
    except OSError as error:
        message = f"can't read {path}: {error.strerror or error}"
        raise RecordingError(message) from None


def _unpacked(file: BufferedReader) -> BufferedReader | gzip.GzipFile:
    """Return what is in a file that may be gzipped. No recording that is not begins with this byte."""
    return gzip.GzipFile(fileobj=file) if file.peek(1)[:1] == _GZIP_MAGIC[:1] else file


def refuse_pipes(paths: Iterable[Path], why: str) -> None:
    """Raise RecordingError for what can be read only once, such as a pipe; `why` says what needs a file."""
    for path in paths:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise RecordingError(f"{path} can be read only once, and {why}: write it to a file first")


def _line(path: Path, number: int, raw: bytes) -> Line:
    try:
        envelope = _decoder.decode(raw)
        return Line(raw, envelope.stream, _received_at_ns(envelope.received_at))
    except UNREADABLE as error:
        message = f'{path}, line {number} is not {{"stream", "data", "received_at"}}: {error}'
        raise RecordingError(message) from None


def _received_at_ns(said: float | str) -> int:
    ns = times.unix_ns(said)
    if ns is None and not isinstance(said, int):
        message = f"received_at is no unix time: {str(said)[:40]}"
        raise msgspec.ValidationError(message)
    # A number that is no plausible time still says which line comes first.
    return int(said) if ns is None else ns


def merge(paths: Iterable[Path], salvage: Salvage | None = None) -> Iterator[Line]:
    """Yield the lines of several recordings by `received_at`, each recording in its own order."""
    return heapq.merge(*(read(path, salvage) for path in paths), key=lambda line: line.received_at_ns)
