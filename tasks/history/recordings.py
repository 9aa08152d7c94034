"""Recordings: newline-delimited JSON, optionally gzipped, one frame a line, in arrival order.

{"stream": "btcusdt@trade", "data": {...}, "received_at": 1723161254087896568}

The exchange's own frames, `{"stream", "data"}` or a bare payload, are accepted where their time of receipt is known:
the envelope's `timestamp`, or the payload's `E`. Spot books have neither.
"""

import gzip
import heapq
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from tasks.errors import UNREADABLE, RecordingError
from tasks.frames import encoder, neutral, timestamps
from tasks.frames.model import parse_stream

#: A frame has 1 MiB at most; the rest is for its envelope. So a bomb of zeros takes no memory.
MAX_LINE_BYTES = 2 * 1024 * 1024
#: msgspec's error for JSON that is valid but incomplete.
_CUT = "Input data was truncated"
_GZIP_MAGIC = b"\x1f\x8b"
#: Names of streams by the `e` of their payloads, where the two differ.
_STREAMS = {"depthUpdate": "depth", "markPriceUpdate": "markPrice"}
#: Called with one line: which file is damaged, and from where on it is not used.
Salvage = Callable[[str], None]


class RecordingLine(msgspec.Struct, frozen=True):
    """One line of a recording."""

    #: The frame's bytes, without the newline.
    raw: bytes
    #: The envelope's; else what the payload's symbol and kind make, of a venue-neutral frame its subject; empty: none.
    stream: str
    #: The recorder's clock, else the exchange's, unix nanoseconds; what is no plausible time only orders the lines.
    received_at_ns: int


class _Envelope(msgspec.Struct):
    received_at: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | float | str | None = None
    stream: str = ""


class _OwnFrame(msgspec.Struct):
    """Other fields from which a frame's time of receipt and its stream can be derived."""

    data: msgspec.Raw | UnsetType = UNSET
    timestamp: Any = None


class _OwnPayload(msgspec.Struct):
    e: Any = None
    E: Any = None
    s: Any = None
    time: Any = None
    lastUpdateId: Any = None  # noqa: N815 the exchange's name
    o: Any = None
    schema: Any = None
    venue: Any = None
    kind: Any = None
    symbol: Any = None


_decoder = msgspec.json.Decoder(_Envelope)
_frame_decoder = msgspec.json.Decoder(_OwnFrame)
_payload_decoder = msgspec.json.Decoder(_OwnPayload)


def read(path: Path, salvage: Salvage | None = None) -> Iterator[RecordingLine]:
    """Yield the lines of a recording; from a pipe too, because it is opened once and read from its start to its end.

    Raises RecordingError: no such file, cut short, or not a recording. With `salvage` a packed file that is damaged, or
    a file that ends within a line, ends where the damage begins, and `salvage` is called.
    """
    number = whole = 0
    try:
        with path.open("rb") as file, _unpacked(file) as lines:
            for number, raw in enumerate(iter(partial(lines.readline, MAX_LINE_BYTES), b""), start=1):
                if len(raw) == MAX_LINE_BYTES:
                    raise RecordingError(f"{path}, line {number} is longer than {MAX_LINE_BYTES >> 20} MiB")
                if line := raw.rstrip():
                    yield _line(path, number, line)
                whole = number
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        damage = f"{path} is damaged or cut short after line {whole}: {error}"
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
    """Raise RecordingError for what can be read only once, such as a pipe; `why` is the reason why a file is needed."""
    for path in paths:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise RecordingError(f"{path} can be read only once, and {why}: write it to a file first")


def _line(path: Path, number: int, raw: bytes) -> RecordingLine:
    try:
        envelope = _decoder.decode(raw)
        said = envelope.received_at
        if said and envelope.stream:
            return RecordingLine(raw, envelope.stream, timestamps.unix_ns(said) or _order_ns(said))
        return _own_line(path, number, raw, envelope)
    except UNREADABLE as error:
        if str(error) == _CUT:
            raise EOFError("the next one ends in its middle") from None
        message = f'{path}, line {number} is not {{"stream", "data", "received_at"}}: {error}'
        raise RecordingError(message) from None


def _own_line(path: Path, number: int, raw: bytes, envelope: _Envelope) -> RecordingLine:
    """Return a line as the exchange sends it, without a time of receipt or a stream's name."""
    frame = _frame_decoder.decode(raw)
    try:
        payload = _payload_decoder.decode(raw if frame.data is UNSET else frame.data)
    except UNREADABLE:
        payload = _OwnPayload()
    if envelope.received_at is not None:
        at_ns = timestamps.unix_ns(envelope.received_at) or _order_ns(envelope.received_at)
    else:
        said = {"timestamp": frame.timestamp, "E": payload.E, "time": payload.time}
        known_ns = next(filter(None, map(timestamps.unix_ns, said.values())), None)
        if known_ns is None:
            raise RecordingError(f"{path}, line {number} has no received_at, and {_missing(said, payload)}")
        at_ns = known_ns
    return RecordingLine(raw, envelope.stream or _stream(payload), at_ns)


def _missing(said: dict[str, Any], payload: _OwnPayload) -> str:
    unread = ", ".join(f"{name} is no time: {str(value)[:40]}" for name, value in said.items() if value is not None)
    what = unread or "its payload no time (E)"
    return what if payload.lastUpdateId is None else f"{what}: spot books need one"


def _stream(payload: _OwnPayload) -> str:
    """Return the name of a bare payload's stream, or the subject of a venue-neutral frame; empty: it has none.

    A book of futures without a depth in its name is a diff.
    """
    if isinstance(payload.schema, str):
        return neutral.said_subject(payload.venue, payload.kind, payload.symbol)
    symbol = payload.o.get("s") if payload.s is None and isinstance(payload.o, dict) else payload.s
    if not (isinstance(symbol, str) and isinstance(payload.e, str)):
        return ""
    name = f"{encoder.lower(symbol)}@{_STREAMS.get(payload.e, payload.e)}"
    return name if parse_stream(name) else ""


def _order_ns(said: float | str) -> int:
    """Return a number that is no plausible time: it still orders the lines."""
    if not isinstance(said, int):
        message = f"received_at is no unix time: {str(said)[:40]}"
        raise msgspec.ValidationError(message)
    return said


def merge(paths: Iterable[Path], salvage: Salvage | None = None) -> Iterator[RecordingLine]:
    """Yield the lines of several recordings by `received_at`, each recording in its own order.

    Raises RecordingError.
    """
    paths = list(paths)
    refuse_pipes((path for path, count in Counter(paths).items() if count > 1), "it is named twice")
    return heapq.merge(*(read(path, salvage) for path in paths), key=lambda line: line.received_at_ns)
