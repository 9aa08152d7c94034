"""Ingest and a worker as processes that are told to trace, and a publisher that traces too."""

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nats
from nats.aio.client import Client

from compose.local.processes import ROOT, Process
from ingest.transport.flush import confirm_published
from tests.support import service
from tests.support.frames.wire import SPOT_TRADE, enveloped
from tests.support.service import Ingest
from tests.support.waiting import wait_for

STRATEGIES = """
[pools.trade]
kinds = ["trade"]
partitions = 1
[pools.trade.strategies."tests.support.strategies:Echo"]
alias = "theirs"
[pools.trade.strategies."tests.support.stacks.strategies:Raising"]
"""


class Trace(NamedTuple):
    """Where a publisher's trace stands when it publishes a frame."""

    trace_id: str
    span_id: str
    flags: str = "01"

    @classmethod
    def begin(cls, flags: str = "01") -> "Trace":
        return cls(secrets.token_hex(16), secrets.token_hex(8), flags)

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Trace":
        return cls(*headers["traceparent"].split("-")[1:])

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


class Pipeline:
    """Ingest and a worker, and what is published and heard."""

    def __init__(self, ingest: Ingest, environment: Mapping[str, str]) -> None:
        self.ingest, self._environment = ingest, ingest.environment | dict(environment)
        self.worker: Process | None = None
        #: The headers of each signal by the id of its trade.
        self.heard: dict[int, dict[str, str]] = {}
        self._id = 0

    def start_worker(self, *options: str) -> None:
        command = [sys.executable, "-m", "celery", "-q", "-A", "tasks", "worker", "-Q", "trade", *options]
        fixed = {"PYTHONPATH": str(ROOT), "WORKER_HTTP_PORT": "0"}
        self.worker = self.ingest.instance.start("worker", command, os.environ | fixed | self._environment)

    @contextmanager
    def connected(self) -> Iterator["Wire"]:
        with asyncio.Runner() as runner:
            wire = Wire(runner, runner.run(nats.connect(self.ingest.settings.nats_url)), self)
            wire.listen()
            yield wire
            runner.run(wire.client.close())

    def logged(self, process: Process, event: str) -> list[dict[str, Any]]:
        texts = (line for line in process.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in map(json.loads, texts) if line["event"].startswith(event)]

    def stop_s(self) -> float:
        """End worker and ingest as a supervisor does; return the seconds that took."""
        assert self.worker is not None
        started_s = time.monotonic()
        both = (self.worker, self.ingest.process)
        for process in both:
            process.terminate()
        wait_for(lambda: all(process.returncode is not None for process in both), "worker and ingest to end")
        return time.monotonic() - started_s


class Wire(NamedTuple):
    """A publisher of frames that hears the signals."""

    runner: asyncio.Runner
    client: Client
    pipeline: Pipeline

    def listen(self) -> None:
        async def hear(message: Any) -> None:
            self.pipeline.heard[json.loads(message.data)["trigger"]["id"]] = message.headers

        self.runner.run(self.client.subscribe(f"{self.pipeline.ingest.settings.namespace}-signals.>", cb=hear))

    def publish(self, headers: dict[str, str] | None = None, **envelope: Any) -> int:
        """Publish a trade; return its id."""
        self.pipeline._id += 1
        frame = enveloped("btcusdt@trade", SPOT_TRADE | {"t": self.pipeline._id}, **envelope)
        subject = f"{self.pipeline.ingest.settings.namespace}.frames"
        self.runner.run(self.client.publish(subject, frame, headers=headers))
        self.runner.run(confirm_published(self.client))
        return self.pipeline._id

    def hear(self, number: int) -> dict[str, str]:
        """Wait for a trade's signal; return its headers."""

        def heard() -> dict[str, str] | None:
            self.runner.run(asyncio.sleep(0))
            self.runner.run(self.client.flush())
            return self.pipeline.heard.get(number)

        headers = wait_for(heard, f"the signal of trade {number}{self.pipeline.ingest.process.tail()}")
        assert headers is not None
        return headers


@contextmanager
def pipeline(nats_url: str, redis_url: str, directory: Path, **environment: str) -> Iterator[Pipeline]:
    file = directory / "strategies.toml"
    file.write_text(STRATEGIES)
    fixed = {"STRATEGIES_FILE": str(file), "SIGNAL_MAX_AGE_S": "0", "LOG_FORMAT": "json"}
    with service.ingest(nats_url, redis_url, f"t{secrets.token_hex(6)}", **fixed, **environment) as ingest:
        ingest.wait_ready()
        yield Pipeline(ingest, environment)
