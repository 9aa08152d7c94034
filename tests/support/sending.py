"""The sending half of ingest without the service around it, on a real queue and a real ledger."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import redis
from celery import Celery

from ingest.connectivity import Connectivity
from ingest.counters import Counters
from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.celery_publisher import CeleryPublisher, OutgoingTask
from ingest.dispatch.conditions import SenderConditions
from ingest.dispatch.sender import Sender
from ingest.lanes import LaneLimits, Lanes
from ingest.lanes.task_packing import Workforce
from ingest.ledger import IngestLedger
from ingest.sources.core import CoreSource
from ingest.transport.connection import NatsConnection
from tasks.clients.redis_client import connect_async, connection_options
from tasks.configuration import Configuration
from tasks.events import AnyEvent, Trade
from tasks.ledger import Ledger
from tasks.ledger.configurations import ConfigurationStore
from tasks.protocol import batches
from tasks.protocol.batches import Batch
from tasks.protocol.celery_codec import CONTENT_TYPE
from tasks.protocol.counters import Counts
from tasks.protocol.outcome import Outcome
from tasks.protocol.routing import Router
from tasks.settings import Settings, load
from tests.support.ledger import commit
from tests.support.waiting import HANGS_S


def _configuration(partitions: int) -> Configuration:
    pool = {"kinds": ["trade"], "partitions": partitions, "strategies": {"trade_momentum": {}}}
    return Configuration.model_validate({"pools": {"trade": pool}})


CONFIGURATION = _configuration(2)


def one_pool(directory: Path) -> str:
    """Write a strategies file with trades in one pool only; return its name for STRATEGIES_FILE."""
    file = directory / "strategies.toml"
    file.write_text('[pools.trade]\nkinds = ["trade"]\n[pools.trade.strategies.trade_momentum]\n', encoding="utf-8")
    return str(file)


#: Nothing of it is opened: the sender asks it where an epoch begins, and core NATS can't be read again.
CORE = CoreSource(NatsConnection(Settings(), Connectivity({"nats": ""}), lambda: None), "unused")


@contextmanager
def celery_app(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Celery]:
    """Yield a Celery app whose configuration, which is loaded by name, is that of `settings`."""
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("NAMESPACE", settings.namespace)
    load.cache_clear()
    sys.modules.pop("celeryconfig", None)
    app = Celery("ingest", set_as_current=False)
    app.config_from_object("celeryconfig")
    app.conf.update(result_backend="disabled://")  # else it would subscribe to the result of each task
    try:
        yield app
    finally:
        app.close()
        sys.modules.pop("celeryconfig", None)
        load.cache_clear()


def send(settings: Settings, *tasks: Sequence[Batch[msgspec.Raw]], queue: str = "") -> None:
    """Put tasks of these batches into the queue of their pool, or into this one, as ingest does, on a connection of its own."""

    async def main() -> None:
        async with connect_async(settings, settings.broker, **connection_options()) as broker:
            publisher = CeleryPublisher(broker, settings.celery_prefix, "ingest@test")
            await publisher.send([OutgoingTask(carried, f"{len(carried)} batches", queue=queue) for carried in tasks])

    asyncio.run(main())


class Queue:
    """A pool's queue in Redis, read as a worker would read it."""

    def __init__(self, client: redis.Redis, settings: Settings, pool: str = "trade") -> None:
        self._client: Any = client
        self.key = f"{settings.celery_prefix}{pool}"
        self._ledger = Ledger(client, settings.namespace)

    def __len__(self) -> int:
        return int(self._client.llen(self.key))

    def take(self) -> dict[str, Any]:
        """Take the oldest message as it stands in Redis."""
        message: dict[str, Any] = json.loads(self._client.rpop(self.key))
        return message

    def take_batches(self) -> tuple[Batch[AnyEvent], ...]:
        """Take what the oldest task carries."""
        return carried(self.take())

    def take_batch(self) -> Batch[AnyEvent]:
        """Take the oldest task, which carries one batch."""
        [batch] = self.take_batches()
        return batch

    def commit(self, batch: Batch[AnyEvent]) -> str:
        """Commit a batch as a worker does that has nothing to say."""
        return commit(self._ledger, batch, Outcome({}, [], [], [], Counts()))


def carried(message: dict[str, Any]) -> tuple[Batch[AnyEvent], ...]:
    """Return the batches that a raw message of the queue carries."""
    assert message["content-type"] == CONTENT_TYPE
    (payload,), _, _ = msgspec.msgpack.decode(base64.b64decode(message["body"]))
    return batches.unpack(payload)


class Rig:
    """A sender with all that it needs, and a look at what it did."""

    def __init__(self, settings: Settings, partitions: int = 2, *, may_send: Callable[[], bool] = lambda: True) -> None:
        self.client = redis.Redis.from_url(settings.redis_url)
        self.queue = Queue(self.client, settings)
        self.counters = Counters()
        configuration = _configuration(partitions)
        self.lanes = Lanes(Router(configuration.routes(), settings.shard), LaneLimits(10**6, 10**6))
        self.ledger = IngestLedger(settings)
        self.keys = self.ledger.keys
        #: Who works; None: nobody knows.
        self.workforce: Workforce | None = None
        #: A run lasts a second at most.
        self.sender = Sender(
            self.lanes,
            self.ledger,
            CeleryPublisher(self.ledger.servers.broker, settings.celery_prefix, "ingest@test"),
            self.counters,
            ActiveConfiguration(ConfigurationStore(settings), configuration),
            CORE,
            SenderConditions(1, lambda: self.workforce, may_send),
        )
        self._id = 0

    def offer(self, symbol: str = "BTCUSDT") -> None:
        self._id += 1
        seq = self.lanes.next_seq()
        self.sender.offer(Trade("spot", symbol, self._id, 1_000, seq, time.time_ns(), 1.0, 1.0, buyer_is_maker=False))

    async def until(self, condition: Callable[[], Any], *, looking: bool = False) -> None:
        """Wait for a condition, asking the ledger as the service's tick does if `looking`."""
        started_s = time.monotonic()
        while not condition():
            assert time.monotonic() - started_s < HANGS_S, "timed out"
            if looking:
                await self.sender.poll()
                await self.ledger.lease.renew()
            await asyncio.sleep(0.01)

    async def sent(self, count: int = 1) -> None:
        """Wait until the queue holds so many tasks."""
        await self.until(lambda: len(self.queue) >= count)
        assert len(self.queue) == count

    def forget(self) -> None:
        """Make Redis forget all of this namespace, as one does that comes back empty."""
        for key in self.client.scan_iter(f"{self.keys.namespace}:*"):
            self.client.delete(key)

    async def close(self) -> None:
        await self.ledger.close()
        self.client.close()


R = TypeVar("R", bound=Rig)


@asynccontextmanager
async def begun(rig: R) -> AsyncIterator[R]:
    """Yield a rig whose first epoch has begun."""
    try:
        await rig.sender.begin()
        yield rig
    finally:
        await rig.close()
