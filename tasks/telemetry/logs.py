"""Structured logs of all processes.

Every line has its time, level, `event` and `role`; a line from the run of a batch has `lane`, `seq` and `task_id` too,
and one from within a recorded span its `trace_id` and `span_id`.
"""

import io
import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

import structlog
from structlog.processors import ExceptionRenderer, JSONRenderer
from structlog.tracebacks import ExceptionDictTransformer

from tasks.protocol.batches import Batch
from tasks.settings import Settings
from tasks.telemetry.terminal import one_line, printable

Event = MutableMapping[str, Any]

#: User and password of a URL.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s\"']*@")
#: Frames of a traceback that are kept. Without local variables: they hold market data, and perhaps passwords.
_MAX_FRAMES = 20


#: The batch that runs. structlog's own variables take a tenth of the time of a small batch; nearly all log nothing.
_running: ContextVar[Batch[Any] | None] = ContextVar("running", default=None)


@contextmanager
def about(batch: Batch[Any]) -> Iterator[None]:
    """Have what the block logs say that it is about `batch`."""
    token = _running.set(batch)
    try:
        yield
    finally:
        _running.reset(token)


def add_batch(_: Any, __: str, event: Event) -> Event:
    """Name the batch that runs, if one does."""
    if batch := _running.get():
        event.update(lane=str(batch.lane), seq=batch.to.seq)
        event.setdefault("task_id", batch.task_id)
    return event


def configure_structlog(settings: Settings, role: str) -> None:
    """Send structlog's lines to standard error, as JSON or for a person; what others log stays as it is.

    `role` is that of this process: ingest, worker, feed, or one of Celery's other commands.
    """
    processors: list[Any] = [*_shared(role), *_renderers(settings), without_passwords]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def configure_command_logs() -> None:
    """Send structlog's lines to standard error, for a person: standard output is for what a command was asked for."""
    configured = structlog.get_config()["processors"]
    structlog.configure(
        processors=[*configured[:-1], printable_values, configured[-1]],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log_hints(settings: Settings) -> None:
    """Log what of the environment was not understood or is not used, a warning each."""
    for hint in settings.hints():
        structlog.get_logger().warning("settings", hint=hint)


def _level(settings: Settings) -> int:
    return logging.getLevelNamesMapping()[settings.log_level]


def _shared(role: str) -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        add_batch,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Role(role),
        add_trace,
    ]


def configure_logging(settings: Settings, role: str) -> None:
    """Send structlog's lines and the standard library's logging to standard error, as `configure_structlog` does."""
    configure_structlog(settings, role)
    shared, render, level = _shared(role), [*_renderers(settings), without_passwords], _level(settings)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _add_task],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(capture=True)
    # Two lines for each task are for who looks for a fault, not for every day.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)


def _renderers(settings: Settings) -> list[Any]:
    if settings.log_format == "console" or (not settings.log_format and sys.stderr.isatty()):
        return [
            printable_values,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_printable_traceback),
        ]
    return [ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=_MAX_FRAMES)), JSONRenderer()]


def printable_values(_: Any, __: str, event: Event) -> Event:
    """Escape in a line for a person what a terminal would obey; JSON escapes it anyway."""
    for name, value in event.items():
        if isinstance(value, str):
            # A traceback that somebody else rendered has lines.
            event[name] = printable(value) if name in {"exception", "stack"} else one_line(value)
    return event


def _printable_traceback(out: TextIO, error: Any) -> None:
    traceback = io.StringIO()
    structlog.dev.plain_traceback(traceback, error)
    out.write(printable(traceback.getvalue()))


class _Role:
    def __init__(self, role: str) -> None:
        self._role = role

    def __call__(self, _: Any, __: str, event: Event) -> Event:
        event["role"] = self._role
        return event


def add_trace(_: Any, __: str, event: Event) -> Event:
    """Name the current span, if it is recorded. Where nobody has imported OpenTelemetry there is none."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None and (span := trace.get_current_span()).is_recording():
        context = span.get_span_context()
        event["trace_id"], event["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return event


def _add_task(_: Any, __: str, event: Event) -> Event:
    """Add the id of the task whose failure Celery logs after its run."""
    about = getattr(event.get("_record"), "data", None)
    if isinstance(about, dict) and "id" in about:
        event["task_id"] = about["id"]
    return event


def without_passwords(_: Any, __: str, line: str) -> str:
    """Take user and password out of every URL of a line."""
    return _CREDENTIALS.sub("***@", line)
