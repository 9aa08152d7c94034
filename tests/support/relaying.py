"""A relay with its stream and a consumer of its signals, on real servers, driven by a test."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import redis.asyncio as redis

from ingest.counters import Counters
from ingest.ledger import IngestLedger
from ingest.relay import GROUP, TRIM_INTERVAL_S, Relay, SignalStreams
from ingest.transport.flush import confirm_published
from tasks.clients.nats_client import NatsClient
from tasks.clients.redis_client import connection_options
from tasks.event_loop import end
from tasks.ledger import LedgerKeys
from tasks.ledger.confirmation import UnconfirmedError
from tasks.ledger.lease import RENEW_S
from tasks.protocol import dead_letters
from tasks.settings import Settings
from tests.support.waiting import HANGS_S


def settings_of_a_relay(nats_url: str, redis_url: str, namespace: str) -> Settings:
    """Return settings whose signals go to subjects of the test's own."""
    return Settings(
        nats_url=nats_url,
        redis_url=redis_url,
        namespace=namespace,
        signal_subject=f"{namespace}.{{strategy}}.{{symbol}}.{{action}}.{{venue}}",
    )


def packed(name: str = "a", symbol: str = "BTCUSDT", *, age_s: float = 0, **more: Any) -> bytes:
    fields = {"id": name, "strategy": "my:Strategy", "symbol": symbol, "action": "buy", "metadata": {"venue": "spot"}}
    return json.dumps(fields | {"event_time_ms": int((time.time() - age_s) * 1000)} | more).encode()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline_s = time.monotonic() + HANGS_S
    while not await condition():
        assert time.monotonic() < deadline_s, "timed out"
        await asyncio.sleep(0.01)


class Stage:
    """A relay, its stream, and a consumer of signals."""

    def __init__(
        self,
        settings: Settings,
        client: redis.Redis,
        connection: NatsClient,
        heard: list[Any],
        timings: Mapping[str, float],
    ) -> None:
        self.redis, self.nats, self.heard = client, connection, heard
        self.keys = LedgerKeys(settings.namespace)
        self.counters = Counters()
        self.ledger = IngestLedger(settings)
        self.streams = SignalStreams(settings, connection)
        self.relay = Relay(settings, self.ledger, self.streams, self.counters, lambda *_: None, **timings)

    async def add(self, *signals: bytes) -> None:
        for each in signals:
            await self.redis.xadd(self.keys.signals, {"signal": each})

    async def create_group(self) -> None:
        await self.redis.xgroup_create(self.keys.signals, GROUP, id="0", mkstream=True)

    async def unacknowledged(self) -> int:
        about: Any = await self.redis.xpending(self.keys.signals, GROUP)
        return int(about["pending"])

    async def hears(self, *names: str) -> None:
        """Wait until the consumer has heard exactly these signals."""

        async def heard() -> bool:
            return len(self.heard) >= len(names)

        await until(heard)
        assert [json.loads(message.data)["id"] for message in self.heard] == list(names)

    async def letters(self) -> list[dead_letters.DeadLetter]:
        entries: Any = await self.redis.xrange(self.keys.deadletters)
        return [dead_letters.unpack(fields[b"letter"]) for _, fields in entries]


@asynccontextmanager
async def stage(
    settings: Settings, trim_interval_s: float = TRIM_INTERVAL_S, answer_s: float = HANGS_S, **nats_options: Any
) -> AsyncIterator[Stage]:
    client = redis.Redis.from_url(settings.ledger, **connection_options())
    connection = NatsClient(settings)
    heard: list[Any] = []

    async def ignore(_: Exception) -> None:
        """What the relay must know, it is told otherwise."""

    await connection.open("test", ignore, **nats_options)

    async def hear(message: Any) -> None:
        heard.append(message)

    await connection.subscribe(f"{settings.namespace}.>", cb=hear)
    await confirm_published(connection)
    timings = {"trim_interval_s": trim_interval_s, "answer_s": answer_s}
    on = Stage(settings, client, connection, heard, timings)
    await on.ledger.lease.take()
    leading = asyncio.create_task(lead(on))
    try:
        yield on
    finally:
        await end(leading)
        await on.ledger.close()
        await connection.close()
        await client.aclose()


async def lead(on: Stage) -> None:
    """Hold the lease for as long as the test lasts, also through a restart of Redis."""
    while True:
        with suppress(redis.RedisError):
            await on.ledger.lease.renew()
        await asyncio.sleep(RENEW_S)


@asynccontextmanager
async def running(on: Stage) -> AsyncIterator[None]:
    """Run the relay. Where nothing confirms what it reads it ends, as the service expects."""
    task = asyncio.create_task(on.relay.run())
    try:
        yield
    finally:
        await end(task)
        with suppress(asyncio.CancelledError, UnconfirmedError):
            task.result()
