"""What becomes of a committed signal: it is published under a subject, kept as a dead letter, or too old."""

import time
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec

from tasks.errors import UNREADABLE
from tasks.protocol import dead_letters, signal_subject
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings
from tasks.telemetry import trace_context

#: NATS counts the headers to the payload: their frame, beside the id.
HEADERS_BYTES = len(b"NATS/1.0\r\nNats-Msg-Id: \r\n\r\n")


class _Head(msgspec.Struct):
    """The fields of a signal that the relay reads."""

    id: str
    strategy: str
    symbol: str
    action: str
    event_time_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    metadata: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Head).decode


class OutgoingSignal(NamedTuple):
    """A signal that is ready to be published."""

    subject: str
    packed: bytes
    headers: dict[str, str]


#: What is to become of an entry: it is published, buried, or held back for a reason.
Fate = OutgoingSignal | DeadLetter | Literal["stale"]


def decide(fields: Mapping[bytes, bytes], settings: Settings, max_payload: int) -> Fate:
    """Return what is to become of an entry of the signal stream; `max_payload` are the bytes that NATS takes."""
    packed = fields.get(b"signal", b"")
    try:
        head = _decode(packed)
    except UNREADABLE as error:
        return dead_letters.no_signal(packed, error)
    age_s = time.time() - head.event_time_ms / 1000
    if 0 < settings.signal_max_age_s < age_s:
        return "stale"
    subject = signal_subject.fill(
        settings.signal_subject,
        strategy=head.strategy,
        symbol=head.symbol,
        action=head.action,
        venue=head.metadata.get("venue", ""),
    )
    size = len(packed) + HEADERS_BYTES + len(head.id.encode())
    if size > max_payload:
        return dead_letters.signal_too_large(packed, size, max_payload)
    if not signal_subject.is_subject(subject):
        return dead_letters.no_subject(packed, subject)
    headers = {"Nats-Msg-Id": head.id}
    trace = trace_context.headers(fields.get(b"trace", b"").decode(errors="replace"))
    # A signal that is almost too large goes without.
    if size + sum(len(f"{name}: {value}\r\n") for name, value in trace.items()) <= max_payload:
        headers |= trace
    return OutgoingSignal(subject, packed, headers)


def every_subject(settings: Settings) -> str:
    """Return the subjects of all signals, with wildcards."""
    tokens = settings.signal_subject.split(".")
    return ".".join("*" if "{" in token else token for token in tokens)
