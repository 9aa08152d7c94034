"""What a line of the log looks like."""

import json
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
from celery.exceptions import Ignore
from opentelemetry import trace as opentelemetry
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from tasks.events import Trade
from tasks.ledger import BatchStart
from tasks.protocol import batches, dead_letters
from tasks.settings import Settings
from tasks.strategy import Signal
from tasks.telemetry import logs
from tasks.telemetry.logs import add_trace
from tasks.worker import run_reporter, runner, task
from tasks.worker.run_reporter import RunReporter
from tasks.worker.strategy_errors import StrategyErrors
from tests.support.events import trade
from tests.support.ledger import batch
from tests.support.logging_defaults import restore_logging_defaults
from tests.support.strategies import Echo, TradeTotals, bound

SCRIPT = """
import logging, sys, warnings
import structlog
from tasks.settings import Settings
from tasks.telemetry.logs import configure_logging

configure_logging(Settings(log_format=sys.argv[1], log_level="INFO"), "ingest")
secret = "redis://me:geheim@127.0.0.1:1/0"
structlog.get_logger().warning("ours", url=secret, lane="depth-3")
logging.getLogger("nats").warning("theirs: %s", secret)
logging.getLogger("kombu").debug("below the level")
warnings.warn("old news")
try:
    password = "geheim"
    raise ValueError(secret)
except ValueError:
    structlog.get_logger().exception("our fault")
    logging.getLogger("tornado").exception("their fault")
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


def logged(form: str) -> str:
    command = [sys.executable, "-W", "always", "-c", SCRIPT, form]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    return done.stderr


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged("json").splitlines()]


def test_every_line_has_time_level_event_and_role_whoever_wrote_it(lines):
    words = ("ours", "theirs: redis://***@127.0.0.1:1/0", "old news", "our fault", "their fault")
    assert len(lines) == len(words)
    for line, word in zip(lines, words, strict=True):
        assert word in line["event"]
        assert line["role"] == "ingest"
        assert line.keys() >= {"timestamp", "level"}
    assert [line.get("logger") for line in lines] == [None, "nats", "py.warnings", None, "tornado"]
    assert lines[0]["lane"] == "depth-3"


def test_an_exception_is_one_structured_field_without_local_variables(lines):
    for line in lines[3:]:
        [found] = line["exception"]
        assert (found["exc_type"], found["exc_value"]) == ("ValueError", "redis://***@127.0.0.1:1/0")
        assert [frame["name"] for frame in found["frames"]] == ["<module>"]
        assert "locals" not in found["frames"][0]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_password_is_in_the_log(form):
    text = logged(form)
    assert "geheim" not in text
    assert text.count("redis://***@127.0.0.1:1/0") == 4


def test_a_line_from_within_a_recorded_span_names_it():
    with TracerProvider().get_tracer("tests").start_as_current_span("batch") as span:
        context = span.get_span_context()
        event = add_trace(None, "info", {"event": "x"})
    assert event == {"event": "x", "trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def test_a_line_from_within_a_span_that_nobody_records_names_none():
    unrecorded = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0)))
    with opentelemetry.use_span(unrecorded):
        assert add_trace(None, "info", {"event": "x"}) == {"event": "x"}


@pytest.mark.parametrize("ending", [None, ImportError("no such module")])
def test_what_is_logged_during_a_task_names_it_and_nothing_does_afterwards(monkeypatch, ending):
    seen: list[dict[str, Any]] = []

    def run(*_: object, **__: object) -> list[runner.BatchResult]:
        seen.append(get_contextvars())
        if ending:
            raise ending
        return []

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(task, "_ledger", lambda _: Mock())
    carried: Any = [batch(2, partition=5), batch(2, partition=6)]
    with pytest.raises(ImportError if ending else Ignore):
        task.process(batches.pack(carried))
    assert seen == [{"task_id": "trade-5-7.3f9a02c1-4+1"}]
    assert get_contextvars() == {}


class Witness(Echo):
    """Remembers which lines of the log would be whose."""

    seen: ClassVar[list[dict[str, Any]]] = []

    def on_trade(self, trade: Trade, state: TradeTotals) -> Iterable[Signal]:
        self.seen.append(dict(logs.add_batch(None, "", {})))
        return super().on_trade(trade, state)


def test_what_is_logged_during_a_batch_names_its_lane_task_and_seq():
    """This holds whatever the batch shares a task with."""
    carried = [batch(2, 1.0, partition=5), batch(7, 1.0, partition=6)]
    ledger: Any = Mock()
    ledger.begin.return_value = [BatchStart(1, str(each.epoch), each.prev, {}) for each in carried]
    # What took long is committed alone.
    ledger.commit.side_effect = lambda done: ["committed"] * len(done)
    assert len(runner.run(carried, ledger, lambda *_: bound(Witness.create({})), observer=RunReporter())) == 2
    assert Witness.seen == [
        {"lane": "trade-5", "task_id": carried[0].task_id, "seq": 3},
        {"lane": "trade-6", "task_id": carried[1].task_id, "seq": 8},
    ]


def letter(strategy: str, event: Trade | None) -> bytes:
    return dead_letters.pack(dead_letters.raised(ValueError("thirteen"), "trade", strategy, event))


def test_exceptions_are_logged_once_in_a_while_for_each_strategy(monkeypatch):
    now_s = 0.0
    monkeypatch.setattr("tasks.telemetry.log_throttle.time.monotonic", lambda: now_s)
    errors = StrategyErrors()
    now_s = 100.0
    with capture_logs() as told:
        errors.record([letter("iceberg", trade(id=7)), letter("iceberg", trade(id=8)), letter("skew", None)])
        errors.record([letter("iceberg", trade(id=9))])
        now_s = 111.0
        errors.record([letter("iceberg", trade(id=10))])
    first = {"event": "a strategy raised", "log_level": "warning", "error": "ValueError: thirteen"}
    assert told == [
        first | {"strategy": "iceberg", "symbol": "BTCUSDT", "event_id": 7, "count": 1},
        first | {"strategy": "skew", "symbol": "", "event_id": None, "count": 1},
        first | {"strategy": "iceberg", "symbol": "BTCUSDT", "event_id": 10, "count": 3},
    ]


def test_what_a_test_configures_of_logging_ends_with_it():
    log = vars(run_reporter)["log"]
    logs.configure_structlog(Settings(log_level="ERROR"), "worker")
    log.debug("kept from its first use on")
    restore_logging_defaults()
    with capture_logs() as lines:
        log.debug("after")
    assert [line["event"] for line in lines] == ["after"]
