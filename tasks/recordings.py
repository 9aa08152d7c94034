"""Recordings: newline-delimited JSON, optionally gzipped, one envelope a line, in arrival order.

{"stream": "btcusdt@trade", "data": {...}, "received_at": 1723161254087896568}
"""

import gzip
import heapq
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec

from tasks import times
from tasks.errors import UNREADABLE, RecordingError

#: A frame has 1 MiB at most; the rest is for its envelope. So a bomb of zeros takes no memory.
MAX_LINE_BYTES = 2 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


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


def read(path: Path) -> Iterator[Line]:
    """Yield the lines of a recording. Raises RecordingError: no such file, cut short, or not a recording."""
    try:
        with path.open("rb") as probe:
            compressed = probe.read(2) == _GZIP_MAGIC
        with gzip.open(path) if compressed else path.open("rb") as file:
            for number, raw in enumerate(iter(partial(file.readline, MAX_LINE_BYTES), b""), start=1):
                if len(raw) == MAX_LINE_BYTES:
                    raise RecordingError(f"{path}, line {number} is longer than {MAX_LINE_BYTES >> 20} MiB")
                if line := raw.rstrip():
                    yield _line(path, number, line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        message = f"{path} is damaged or cut short: {error}"
        raise RecordingError(message) from None
    except OSError as error:
        message = f"can't read {path}: {error.strerror or error}"
        raise RecordingError(message) from None


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


def merge(paths: Iterable[Path]) -> Iterator[Line]:
    """Yield the lines of several recordings by `received_at`, each recording in its own order."""
    return heapq.merge(*(read(path) for path in paths), key=lambda line: line.received_at_ns)
