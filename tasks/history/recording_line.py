"""One line of a recording: which stream it is of, and when it was received. Pure."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from tasks.errors import UNREADABLE
from tasks.frames import encoder, neutral, timestamps
from tasks.frames.model import parse_stream

#: msgspec's error for JSON that is valid but incomplete.
CUT = "Input data was truncated"
#: Names of streams by the `e` of their payloads, where the two differ.
_STREAMS = {"depthUpdate": "depth", "markPriceUpdate": "markPrice"}


class LineError(Exception):
    """A line can't be used."""

    def __init__(self, reason: str, detail: str) -> None:
        """Take a word for the reason, and a sentence without its subject: "has no time"."""
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class LinePlace(msgspec.Struct, frozen=True, gc=False):
    """A file and the number of a line in it, from 1."""

    path: Path
    number: int

    def __str__(self) -> str:
        """Return how messages name it."""
        return f"{self.path}, line {self.number}"


class RecordingLine(msgspec.Struct, frozen=True, gc=False):
    """One line of a recording."""

    #: The frame's bytes, without the newline.
    raw: bytes
    #: The envelope's; else what the payload's symbol and kind make, of a venue-neutral frame its subject; empty: none.
    stream: str
    #: The recorder's clock, else the exchange's, unix nanoseconds; what is no plausible time only orders the lines.
    received_at_ns: int
    #: Where it stands, for messages; None: it was made of other rows than its own.
    place: LinePlace | None = None


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


def parse_line(raw: bytes) -> RecordingLine:
    """Return a line. Raises LineError."""
    try:
        envelope = _decoder.decode(raw)
        said = envelope.received_at
        if said and envelope.stream:
            return RecordingLine(raw, envelope.stream, timestamps.unix_ns(said) or _order_ns(said))
        return _own_line(raw, envelope)
    except UNREADABLE as error:
        reason = "cut" if str(error) == CUT else "not_an_envelope"
        raise LineError(reason, f'is not {{"stream", "data", "received_at"}}: {error}') from None


def _own_line(raw: bytes, envelope: _Envelope) -> RecordingLine:
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
            raise LineError("no_time", f"has no received_at, and {_missing(said, payload)}")
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
