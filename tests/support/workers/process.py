"""One worker process against a Redis, driven by a test, and lanes that send batches to it without ingest."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import redis
from prometheus_client.parser import text_string_to_metric_families

from compose.local.processes import ROOT, Instance, Process
from compose.local.servers import free_port
from tasks import configuration
from tasks.configuration import Configuration
from tasks.events import Position
from tasks.ledger import LedgerKeys
from tasks.protocol.batches import Batch, pack_event
from tasks.settings import Settings
from tests.support.events import TIME_MS, trade
from tests.support.ledger import EPOCH, SOURCE, start_epoch
from tests.support.sending import send
from tests.support.service import get
from tests.support.waiting import wait_for

LANES = 8


STRATEGIES: dict[str, Any] = {
    "tests.support.workers.strategies:Sided": {"gate": {"min_confidence": 0.5}},
    "tests.support.workers.strategies:Plain": {},
}


def running(strategies: dict[str, Any]) -> Configuration:
    """Return a configuration of the pool `trade` with these strategies."""
    pool = {"kinds": ["trade"], "partitions": LANES, "strategies": strategies}
    return configuration.check({"pools": {"trade": pool}}, "the test's file")


CONFIGURATION = running(STRATEGIES)


class Worker:
    """A process and its endpoints."""

    def __init__(
        self, instance: Instance, settings: Settings, arguments: Iterable[str], environment: Mapping[str, str]
    ) -> None:
        self.instance, self.settings = instance, settings
        self.port = int(environment["WORKER_HTTP_PORT"])
        celery = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-Q", "trade", "-n", "worker-1@test"]
        self.process: Process = instance.start("worker", [*celery, *arguments], os.environ | environment)

    def get(self, path: str) -> tuple[int, str]:
        """Ask an endpoint; (0, "") while nobody listens."""
        return get(self.port, path)

    def said(self, path: str = "/ready") -> dict[str, Any]:
        """Return the JSON of a probe, and its status; nothing while nobody listens."""
        status, body = self.get(path)
        return {"status": status, **json.loads(body)} if status else {}

    def is_ready(self) -> bool:
        return self.get("/ready")[0] == 200

    def wait_ready(self) -> None:
        wait_for(self.is_ready, f"the worker to be ready{self.process.tail(20)}")

    def samples(self) -> dict[tuple[str, ...], float]:
        """Return every sample by its name and the values of its labels, sorted by the labels' names."""
        status, text = self.get("/metrics")
        if not status:
            raise TimeoutError("no answer")
        assert status == 200
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def log(self) -> str:
        return self.process.log.read_text()

    def wait_end(self) -> int:
        wait_for(lambda: self.process.returncode is not None, "the worker to end")
        assert self.process.returncode is not None
        return self.process.returncode


@contextmanager
def worker(settings: Settings, *arguments: str, **more: str) -> Iterator[Worker]:
    """Start a worker of the pool `trade`; by default in one process."""
    environment = {
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": settings.redis_url,
        "NAMESPACE": settings.namespace,
        "WORKER_HTTP_PORT": str(free_port()),
        "LOG_FORMAT": "json",
        **more,
    }
    with Instance("worker") as instance:
        yield Worker(instance, settings, arguments or ("--pool", "solo"), environment)


class Channels:
    """All lanes of the pool, each with one batch in flight at most."""

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        keys: LedgerKeys,
        lanes_a_task: int = 1,
        runs: Configuration = CONFIGURATION,
        queue: str = "",
    ) -> None:
        self._client, self._settings, self._keys, self._runs = client, settings, keys, runs
        self._lanes_a_task, self._queue = lanes_a_task, queue
        self._seqs: Counter[int] = Counter()
        self._rounds = 0
        start_epoch(client, keys)
        client.hset(keys.configurations, runs.version, runs.canonical())

    def counters(self) -> dict[str, int]:
        """Return the counters of the ledger."""
        stored: Any = self._client.hgetall(self._keys.counters)
        return {name.decode(): int(value) for name, value in stored.items()}

    def run(self, rounds: int) -> None:
        """Send a batch of three events, the last a repeat, in every lane; wait for all; then a copy of the last one."""
        for _ in range(rounds):
            self._rounds += 1
            sent = [self._next(lane) for lane in range(LANES)]
            send(
                self._settings,
                *(sent[at : at + self._lanes_a_task] for at in range(0, LANES, self._lanes_a_task)),
                queue=self._queue,
            )
            wait_for(lambda: self.counters().get("batches") == self._rounds * LANES, "the commits")
            send(self._settings, sent[-1:])
            wait_for(lambda: self.counters().get("fenced") == self._rounds, "the copy to be refused")

    def _next(self, lane: int) -> Batch[msgspec.Raw]:
        at = self._seqs[lane]
        self._seqs[lane] += 3
        ids = (at + 1, at + 2, at + 2)
        events = [
            trade(id=id_, seq=seq, symbol=f"S{lane}USDT", time_ms=TIME_MS + id_)
            for seq, id_ in enumerate(ids, start=at + 1)
        ]
        prev = Position(SOURCE, at) if at else None
        packed = tuple(map(pack_event, events))
        return Batch("trade", lane, 0, EPOCH, prev, Position(SOURCE, at + 3), self._runs.version, packed)
