"""A trace as text: `traceparent` of W3C Trace Context and, after a space, `tracestate` if there is one; "" is no trace. Pure."""

import re
from typing import Any, Literal, Protocol

Role = Literal["ingest", "worker"]


#: Longer ones are cut off by nobody: they are left behind.
_MAX_STATE_CHARS = 512


_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


_STATE = re.compile(r"[\x20-\x7e]+")


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


def headers(trace: str) -> dict[str, str]:
    """Return the headers of a message that belongs to a trace; none for what is no trace."""
    parent, _, state = trace.partition(" ")
    if not trace or packed(parent, state) != trace:
        return {}
    return {"traceparent": parent, "tracestate": state} if state else {"traceparent": parent}
