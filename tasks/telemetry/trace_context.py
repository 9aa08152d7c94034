"""A trace as text: W3C's `traceparent` and, after a space, `tracestate` if there is one; "" is no trace. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from tasks.errors import UNREADABLE

Role = Literal["ingest", "worker"]


#: Longer ones are cut off by nobody: they are left behind.
_MAX_STATE_CHARS = 512


_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


_STATE = re.compile(r"[\x20-\x7e]+")
#: Where petrosa-socket-client puts a trace: beside `stream` and `data`.
_FIELD = b"_otel_trace_context"
_OBJECT = re.compile(rb'"\s*:\s*(\{[^{}]*\})')
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class TracedEvent(Protocol):
    """An event handled by ingest, and its trace."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def ingested_at_ns(self) -> int:
        """When it came, unix nanoseconds."""

    @property
    def trace(self) -> str:
        """The trace that its frame belongs to."""


def packed(parent: Any, state: Any = None) -> str:
    """Return a trace as text; "" if `parent` is no traceparent. A tracestate that is none or too long is left out."""
    if not isinstance(parent, str) or not _PARENT.fullmatch(parent):
        return ""
    kept = isinstance(state, str) and len(state) <= _MAX_STATE_CHARS and _STATE.fullmatch(state)
    return f"{parent} {state}" if kept else parent


def of_frame(headers: Mapping[str, str] | None, raw: bytes) -> str:
    """Return the trace of a frame: of its NATS headers, else of its envelope; "" where there is none."""
    if headers and (parent := headers.get("traceparent") or headers.get("Traceparent")):
        return packed(parent, headers.get("tracestate") or headers.get("Tracestate"))
    at = raw.find(_FIELD)
    if at >= 0 and (found := _OBJECT.match(raw, at + len(_FIELD))):
        try:
            carrier = _decode(found[1])
        except UNREADABLE:
            return ""
        return packed(carrier.get("traceparent"), carrier.get("tracestate"))
    return ""


def headers(trace: str) -> dict[str, str]:
    """Return the headers of a message that belongs to a trace; none for what is no trace."""
    parent, _, state = trace.partition(" ")
    if not trace or packed(parent, state) != trace:
        return {}
    return {"traceparent": parent, "tracestate": state} if state else {"traceparent": parent}
