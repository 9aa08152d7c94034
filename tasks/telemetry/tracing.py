"""Traces by OpenTelemetry: off, and almost free, unless OTEL_EXPORTER_OTLP_ENDPOINT is set.

A trace is carried as text (`trace_context`). The packages of OpenTelemetry are optional: `otel` is all that imports
them, and it is imported only here.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING

import structlog

from tasks.telemetry.trace_context import Role, TracedEvent, of_frame

if TYPE_CHECKING:
    from tasks.telemetry.otel import Tracer


#: How long a stop waits for spans that are in flight.
STOP_S = 2.0
log = structlog.get_logger()


# A process's life

_tracer: "Tracer | None" = None


def wanted() -> bool:
    """Whether the environment enables traces."""
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
    """Return the trace of a frame: of its NATS headers, else of its envelope. "" where there is none or tracing is off."""
    return "" if _tracer is None else of_frame(headers, raw)


#: Wraps the traced code; entering it returns the headers of a message that belongs to it.
Span = AbstractContextManager[Mapping[str, str]]
_NOTHING = nullcontext[Mapping[str, str]]({})


def batch(lane: object, events: Sequence[TracedEvent], *, resend: bool) -> Span:
    """Return the span of a task that goes to the queue, with the events of one lane or several.

    It ends with the block; an exception marks it as failed. Nothing is attached to the thread or task.
    """
    return _NOTHING if _tracer is None else _tracer.batch(str(lane), events, resend=resend)


# Workers


def note(**attributes: str | int | bool) -> None:
    """Add attributes to the span of the run in progress."""
    if _tracer is not None:
        _tracer.note(attributes)


def strategies(began_ns: int, spent_ns: Mapping[str, int], emitters: Sequence[str]) -> list[str]:
    """Record a span for each strategy of the run that goes on; return the trace that each signal belongs to.

    `began_ns` is when the strategies began, unix nanoseconds; `spent_ns` what each of them took of the time since.
    `emitters` has for each signal whose it is, as `spent_ns` names it. Empty when tracing is off.
    """
    return [] if _tracer is None else _tracer.strategies(began_ns, spent_ns, emitters)
