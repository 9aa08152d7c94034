"""Tracing when the collector, the broker or the packages are unavailable."""

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from structlog.testing import capture_logs

from compose.local.processes import ROOT
from compose.local.servers import free_port
from tasks.protocol.routing import LaneId
from tasks.settings import Settings
from tasks.telemetry import tracing
from tests.support.sending import Rig
from tests.support.servers.otlp import Collector, collecting
from tests.support.stacks.traced import Trace, pipeline
from tests.support.waiting import wait_for
from tests.unit.tasks.telemetry.test_tracing import item

NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize("pool", ["prefork", pytest.param("solo", marks=pytest.mark.slow)])
def test_a_collector_that_hangs_holds_up_neither_a_signal_nor_a_stop(
    nats_url: str, redis_url: str, tmp_path: Path, pool: str
):
    with (
        collecting() as collector,
        pipeline(
            nats_url, redis_url, tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100",
        ) as running,
        running.connected() as wire,
    ):  # fmt: skip
        collector.hangs = True
        running.start_worker("-c", "1", "--pool", pool)
        for _ in range(3):
            wire.hear(wire.publish())
        wait_for(lambda: collector.requests >= 2, "both to have tried")
        # The worker needs about 2 s anyway.
        assert running.stop_s() < tracing.STOP_S + 4
        assert collector.received == []
        assert running.ingest.process.returncode == -signal.SIGTERM


def test_without_opentelemetry_all_works_and_each_process_warns_once(nats_url: str, redis_url: str, tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry'] = None\n")
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    with (
        pipeline(nats_url, redis_url, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=NOBODY, PYTHONPATH=path) as running,
        running.connected() as wire,
    ):
        running.start_worker("-c", "1")
        headers = wire.hear(wire.publish({"traceparent": str(Trace.begin())}))
        assert set(headers) == {"Nats-Msg-Id"}
        assert running.worker is not None
        for process in (running.ingest.process, running.worker):
            assert len(running.logged(process, "no traces")) == 1


@contextmanager
def tracing_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Trace in this process, as ingest does it."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracing.prepare.cache_clear()
        tracing.start("ingest")
        yield collector
        tracing.stop()
        tracing.prepare.cache_clear()


def test_a_collector_that_refuses_costs_one_warning_and_bounded_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64")
    before = live_spans()
    with tracing_to(monkeypatch) as collector, capture_logs() as logs:
        collector.status = HTTPStatus.SERVICE_UNAVAILABLE
        for _ in range(1_000):
            with tracing.batch(LaneId("trade", 0), [item(1)], resend=False):
                pass
        wait_for(lambda: collector.requests, "a request")
        wait_for(lambda: logs, "a warning")
        assert live_spans() <= before + 2 * 64
        # It would not end if it waited for them.
        tracing.stop()
    assert [(line["event"], line["log_level"]) for line in logs] == [("trouble with traces", "warning")]


def live_spans() -> int:
    gc.collect()
    return sum(isinstance(each, ReadableSpan) for each in gc.get_objects())


async def test_sends_that_fail_leave_no_span_open_and_no_context_behind(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, namespace: str
):
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    settings = Settings(redis_url=redis_url, namespace=namespace, broker_url=nowhere)
    # What an export can't send in its time is dropped, and a stop does not wait for ever.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    before = live_spans()

    with tracing_to(monkeypatch) as collector:
        rig = Rig(settings)
        await rig.sender.begin()
        rig.offer()
        await rig.until(lambda: any(lane.flight for lane in rig.lanes))
        (lane,) = [lane for lane in rig.lanes if lane.flight]
        for _ in range(99):
            rig.sender._send([[lane]])
        await asyncio.gather(*rig.sender._sending)
        assert not trace.get_current_span().get_span_context().is_valid
        await rig.close()
        wait_for(lambda: len(collector.received) == 100, "the spans")
    assert all(span.failed for span in collector.received)
    assert sum(span.attributes["rs.resend"] for span in collector.received) == 99
    assert live_spans() <= before
