"""Traces by OpenTelemetry: off, and almost free, unless OTEL_EXPORTER_OTLP_ENDPOINT says where they go.

A trace is carried as text, `traceparent` of W3C Trace Context and, after a space, `tracestate` if there is one; "" is no
trace. The packages of OpenTelemetry are optional: `otel` is all that imports them, and it is imported only here.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
import structlog

if TYPE_CHECKING:
    from tasks.telemetry.otel import Tracer

Role = Literal["ingest", "worker"]

#: How long a stop waits for spans that are on their way.
STOP_S = 2.0
#: Longer ones are cut off by nobody: they are left behind.
_MAX_STATE_CHARS = 512
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(r"[\x20-\x7e]+")
#: Where petrosa-socket-client puts a trace: beside `stream` and `data`.
_FIELD = b"_otel_trace_context"
_OBJECT = re.compile(rb'"\s*:\s*(\{[^{}]*\})')
_decode = msgspec.json.Decoder(dict[str, Any]).decode
log = structlog.get_logger()


class Traced(Protocol):
    """An event on its way through ingest."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def ingested_at_ns(self) -> int:
        """When it came, unix nanoseconds."""

    @property
    def trace(self) -> str:
        """The trace that its frame belongs to."""


# A process's life

_tracer: "Tracer | None" = None


def wanted() -> bool:
    """Whether the environment asks for traces."""
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(endpoint) and not disabled and os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() != "none"


@cache
def prepare() -> "type[Tracer] | None":
    """Import OpenTelemetry if traces are wanted; warn, once, when it is not there.

    A worker does it before it forks: so its children share the modules, and the warning.
    """
    if not wanted():
        return None
    try:
        from tasks.telemetry.otel import Tracer  # noqa: PLC0415 the packages are optional
    except ImportError as error:
        log.warning("no traces: OTEL_EXPORTER_OTLP_ENDPOINT is set, but a package is missing", missing=error.name)
        return None
    return Tracer


def start(role: Role) -> None:
    """Begin to trace, if that is wanted and possible. In each process of its own: threads do not survive a fork."""
    global _tracer  # noqa: PLW0603 one process, one tracer
    kind = prepare()
    if kind is not None and _tracer is None:
        _tracer = kind(role)


def stop(timeout_s: float = STOP_S) -> None:
    """Send what is left, for so long at most, and trace no more."""
    global _tracer  # noqa: PLW0603 the same
    if _tracer is not None:
        _tracer.stop(timeout_s)
        _tracer = None


# Frames and ingest


def extract_trace(headers: Mapping[str, str] | None, raw: bytes) -> str:
    """Give the trace of a frame: of its NATS headers, else of its envelope. "" where there is none or tracing is off."""
    if _tracer is None:
        return ""
    if headers and (parent := headers.get("traceparent") or headers.get("Traceparent")):
        return packed(parent, headers.get("tracestate") or headers.get("Tracestate"))
    at = raw.find(_FIELD)
    if at >= 0 and (found := _OBJECT.match(raw, at + len(_FIELD))):
        try:
            carrier = _decode(found[1])
        except msgspec.MsgspecError:
            return ""
        return packed(carrier.get("traceparent"), carrier.get("tracestate"))
    return ""


def packed(parent: Any, state: Any = None) -> str:
    """Give a trace as text; "" if `parent` is no traceparent. A tracestate that is none or too long is left out."""
    if not isinstance(parent, str) or not _PARENT.fullmatch(parent):
        return ""
    kept = isinstance(state, str) and len(state) <= _MAX_STATE_CHARS and _STATE.fullmatch(state)
    return f"{parent} {state}" if kept else parent


def headers(trace: str) -> dict[str, str]:
    """Give the headers of a message that belongs to a trace; none for what is no trace."""
    parent, _, state = trace.partition(" ")
    if not trace or packed(parent, state) != trace:
        return {}
    return {"traceparent": parent, "tracestate": state} if state else {"traceparent": parent}


#: Around what it tells of; entering it gives the headers of a message that belongs to it.
Span = AbstractContextManager[Mapping[str, str]]
_NOTHING = nullcontext[Mapping[str, str]]({})


def batch(lane: object, events: Sequence[Traced], *, resend: bool) -> Span:
    """Give the span of a task that goes to the queue, with the events of one lane or several.

    It ends with the block; an exception marks it as failed. Nothing is attached to the thread or task.
    """
    return _NOTHING if _tracer is None else _tracer.batch(str(lane), events, resend=resend)


# Workers


def note(**attributes: str | int | bool) -> None:
    """Say something of the run that goes on."""
    if _tracer is not None:
        _tracer.note(attributes)


def strategies(began_ns: int, spent_ns: Mapping[str, int], signals: Sequence[bytes]) -> list[str]:
    """Record a span for each strategy of the run that goes on; give the trace that each signal belongs to.

    `began_ns` is when the strategies began, unix nanoseconds; `spent_ns` what each of them took of the time since.
    `signals` are the contract's JSON. Gives nothing when tracing is off.
    """
    return [] if _tracer is None else _tracer.strategies(began_ns, spent_ns, signals)
