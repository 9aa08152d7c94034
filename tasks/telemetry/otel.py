"""The implementation of `tracing` when it is on; the only module that imports OpenTelemetry."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

import structlog
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tasks.telemetry import trace_context
from tasks.telemetry.log_throttle import LogThrottle
from tasks.telemetry.trace_context import Role, TracedEvent
from tasks.version import VERSION

NAME = "realtime-strategies"
#: A batch of 500 frames that are all sampled still makes one small span.
MAX_LINKS = 32
#: Without a collector the exporter would say so every few seconds.
_COMPLAINT_S = 60.0
#: The last bit of a traceparent's last two digits is the sampled flag.
_FLAGS = 54
_SAMPLED = frozenset("13579bdf")
_W3C = TraceContextTextMapPropagator()
log = structlog.get_logger()


class Tracer:
    """Records the spans of one process and sends them to the collector, from a thread of its own."""

    def __init__(self, role: Role) -> None:
        _throttle_logs()
        ours = Resource.create({"service.name": role, "service.namespace": NAME, "service.version": VERSION})
        # Last, because OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES know better.
        resource = ours.merge(OTELResourceDetector().detect())
        # At its exit the process has waited for `stop`, and must not wait again.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(NAME, VERSION)
        # Not for ingest: what it adds to a publish is never ended where the task is known by name only.
        if role == "worker":
            CeleryInstrumentor().instrument(tracer_provider=self._provider)  # type: ignore[no-untyped-call]  # its gap

    def stop(self, timeout_s: float) -> None:
        """Send what is left. A collector that hangs is left to hang."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(timeout_s)

    @contextmanager
    def batch(self, lane: str, events: Sequence[TracedEvent], *, resend: bool) -> Iterator[Mapping[str, str]]:
        """Run the block in the span of a task, as `tracing.batch` does; yield the headers that carry its trace.

        The parent is the first frame that is sampled, else the first that has a trace at all: so what a publisher
        decided about sampling holds, and of a quiet lane, where a batch is one frame, the trace goes through whole.
        """
        span = self._start(lane, events, resend=resend)
        carrier: dict[str, str] = {}
        propagate.inject(carrier, trace.set_span_in_context(span, Context()))
        try:
            yield carrier
        except BaseException as error:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            raise
        finally:
            span.end()

    def _start(self, lane: str, events: Sequence[TracedEvent], *, resend: bool) -> Span:
        traces = dict.fromkeys(event.trace for event in events if event.trace)
        sampled = [each for each in traces if each[_FLAGS] in _SAMPLED]
        parent = _context(next(iter(sampled or traces), ""))
        span = self._tracer.start_span(
            f"ingest batch {lane}",
            parent,
            SpanKind.PRODUCER,
            links=[Link(_span_context(each)) for each in islice(sampled, MAX_LINKS)],
            start_time=time.time_ns() if resend else events[0].ingested_at_ns,
        )
        if span.is_recording():
            span.set_attributes(
                {
                    "messaging.system": "celery",
                    # Lanes that share a task are of one pool.
                    "messaging.destination.name": lane.partition(" ")[0].rpartition("-")[0],
                    "messaging.batch.message_count": len(events),
                    "rs.lane": lane,
                    "rs.seq_first": events[0].seq,
                    "rs.seq_last": max(event.seq for event in events),
                    "rs.resend": resend,
                    "rs.frames_sampled": len(sampled),
                }
            )
        return span

    def note(self, attributes: Mapping[str, str | int | bool]) -> None:
        """Add attributes to the current span, each name behind `rs.`; without one that records, nothing is added."""
        trace.get_current_span().set_attributes({f"rs.{name}": value for name, value in attributes.items()})

    def strategies(self, began_ns: int, spent_ns: Mapping[str, int], emitters: Sequence[str]) -> list[str]:
        """Record a span for each strategy; return the trace of each signal, as `tracing.strategies` does.

        The strategies take turns with each event: each span covers all their turns.
        """
        current = trace.get_current_span()
        if not current.is_recording():
            return [_text(current)] * len(emitters)
        run = trace.set_span_in_context(current, Context())
        ended_ns = time.time_ns()
        traces: dict[str, str] = {}
        for name, busy_ns in spent_ns.items():
            span = self._tracer.start_span(f"strategy {name}", run, start_time=began_ns)
            said = emitters.count(name)
            span.set_attributes({"rs.strategy": name, "rs.busy_s": busy_ns / 1e9, "rs.signals": said})
            span.end(ended_ns)
            if said:
                traces[name] = _text(span)
        return [traces[name] for name in emitters]


def _context(text: str) -> Context:
    return _W3C.extract(trace_context.headers(text), Context())


def _span_context(text: str) -> SpanContext:
    # For links, which need no tracestate: a fifth of the time that `_context` takes.
    return SpanContext(
        int(text[3:35], 16), int(text[36:52], 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )


def _text(span: Span) -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
    return trace_context.packed(carrier.get("traceparent"), carrier.get("tracestate"))


class _CollectorLogHandler(logging.Handler):
    """Logs errors of the collector, at most once in an interval."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._throttle = LogThrottle(_COMPLAINT_S)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by the exporter's thread, mostly."""
        if self._throttle.allow():
            log.warning("trouble with traces", why=record.getMessage())


def _throttle_logs() -> None:
    logger = logging.getLogger("opentelemetry")
    logger.handlers, logger.propagate = [_CollectorLogHandler()], False
