"""What a shard learns of the ledgers of others, and what their absence means to it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_redis
from ingest.components import Components
from ingest.ledger import IngestLedger
from ingest.monitoring.memory_guard import MemoryGuard
from ingest.monitoring.server_stats import ServerProbe
from ingest.relay import GROUP
from ingest.service import Service
from tasks.errors import SettingsError
from tasks.ledger import MOVING, LedgerKeys
from tasks.ledger.heartbeats import Heartbeat
from tasks.protocol.routing import Pool
from tasks.settings import Settings
from tests.support.waiting import wait_for

NOBODY = "redis://127.0.0.1:9/0"


def split(first: str, second: str, namespace: str, shard: str = "0/2") -> Settings:
    urls = f"{first} {second}"
    return Settings(redis_url=first, ledger_urls=urls, nats_partitions=2, ingest_shard=shard, namespace=namespace)


@asynccontextmanager
async def probing(settings: Settings) -> AsyncIterator[ServerProbe]:
    ledger = IngestLedger(settings)
    try:
        yield ServerProbe(ledger, [Pool("trade", ("trade",))], MemoryGuard(0.9))
    finally:
        await ledger.close()


@pytest.fixture
def second(redis_url: str) -> Any:
    with redis.Redis.from_url(redis_url.removesuffix("/0") + "/1") as client:
        yield client


@pytest.fixture
def two(redis_url: str, keys: LedgerKeys) -> Settings:
    return split(redis_url, redis_url.removesuffix("/0") + "/1", keys.namespace)


def answers(url: str) -> bool:
    with suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
        return bool(client.ping())
    return False


def names(probe: ServerProbe) -> set[str]:
    return {finding.name for finding in probe.findings()}


async def test_counters_letters_and_waiting_signals_are_those_of_all_ledgers(
    two: Settings, client: redis.Redis, second: redis.Redis, keys: LedgerKeys
):
    for ledger, number in ((client, 2), (second, 3)):
        ledger.hset(keys.counters, mapping={"events": 10**number, "errors:echo": number})
        ledger.xgroup_create(keys.signals, GROUP, id="0", mkstream=True)
        for _ in range(number):
            ledger.xadd(keys.deadletters, {"letter": "x"})
            ledger.xadd(keys.signals, {"signal": "x"})
    async with probing(two) as probe:
        await probe.ask()
        assert probe.seen
        assert (probe.seen.deadletters, probe.seen.deadletters_written, probe.seen.signals_waiting) == (5, 5, 5)
        assert (probe.counters.of("events"), probe.counters.of("errors", "echo")) == (1_100, 5)


async def test_another_ledger_that_does_not_answer_is_told_and_stops_nothing(redis_url: str, keys: LedgerKeys):
    async with probing(split(redis_url, NOBODY, keys.namespace)) as probe:
        await probe.ask()
        assert probe.seen
        assert probe.seen.deadletters == 0
        (finding,) = [each for each in probe.findings() if each.name == "ledger_away"]
        assert finding.sign == "warning"
        assert "127.0.0.1:9" in finding.says


async def test_errors_are_counted_while_another_ledger_has_never_answered(redis_url: str, client, keys: LedgerKeys):
    client.hset(keys.counters, mapping={"events": 5, "errors:echo": 9})
    async with probing(split(redis_url, NOBODY, keys.namespace)) as probe:
        await probe.ask()
        assert probe.counters.of("events") == 5
        assert "strategy_errors" not in names(probe)
        client.hincrby(keys.counters, "errors:echo", 2)
        await probe.ask()
        assert probe.errors.last_minute(time.monotonic()) == {"echo": 2}


async def test_errors_of_before_a_ledger_first_answered_are_not_of_now(
    redis_url: str, client: redis.Redis, keys: LedgerKeys
):
    """Nor does a ledger that goes and comes let the sums fall."""
    with Instance("second-ledger") as instance:
        server, url = start_redis(instance)
        with redis.Redis.from_url(url) as second:
            second.hset(keys.counters, "errors:echo", 500)
            second.save()
        client.hset(keys.counters, "errors:echo", 3)
        instance.kill(server)
        async with probing(split(redis_url, url, keys.namespace)) as probe:
            await probe.ask()
            assert (probe.counters.of("errors", "echo"), names(probe)) == (3, {"ledger_away", "no_workers"})
            instance.start_again(server)
            wait_for(lambda: answers(url), "the second ledger")
            await probe.ask()
            assert (probe.counters.of("errors", "echo"), names(probe)) == (503, {"no_workers"})
            instance.kill(server)
            client.hincrby(keys.counters, "errors:echo")
            await probe.ask()
            assert probe.counters.of("errors", "echo") == 504
            assert probe.errors.last_minute(time.monotonic()) == {"echo": 1}


async def test_workers_that_know_another_number_of_ledgers_are_named(two: Settings):
    async with probing(two) as probe:
        for name, ours, queue in (
            ("w-right", two, "trade"),
            ("w-wrong", knowing_one(two), "trade"),
            ("w-sweep", knowing_one(two), "research"),
        ):
            heartbeat = Heartbeat(ours, name)
            await heartbeat.announce(1, [queue])
            await heartbeat.close()
        await probe.ask()
        (finding,) = [each for each in probe.findings() if each.name == "ledgers_differ"]
        assert "w-wrong" in finding.says
        assert "w-right" not in finding.says
        assert "w-sweep" not in finding.says, "it commits nothing"


def knowing_one(settings: Settings) -> Settings:
    """Return the settings of a worker that knows only the first ledger."""
    return settings.model_copy(update={"ledger_urls": "", "ledger_url": settings.ledger})


async def test_the_second_shard_reads_workers_in_the_first_ledger(two: Settings):
    heartbeat = Heartbeat(two, "w1")
    await heartbeat.announce(2, ["trade"])
    await heartbeat.close()
    async with probing(two.model_copy(update={"ingest_shard": "1/2"})) as probe:
        await probe.ask()
        assert probe.seen
        assert probe.seen.workers == 1


async def test_a_first_ledger_that_does_not_answer_leaves_the_workers_known(redis_url: str, keys: LedgerKeys):
    with Instance("first-ledger") as instance:
        first, url = start_redis(instance)
        settings = split(url, redis_url, keys.namespace, "1/2").model_copy(update={"redis_url": redis_url})
        heartbeat = Heartbeat(settings, "w1")
        await heartbeat.announce(2, ["trade"])
        await heartbeat.close()
        async with probing(settings) as probe:
            await probe.ask()
            instance.kill(first)
            await probe.ask()
            await probe.ask_workers()
            assert probe.seen
            assert probe.seen.workers == 1
            (finding,) = [each for each in probe.findings() if each.name == "ledger_away"]
            assert finding.what == "ledger of shard 0"


@pytest.mark.parametrize(("shard", "left"), [("0/2", 0), ("1/2", 1), ("1/2", 0)], ids=["own", "second", "first"])
async def test_a_start_where_a_move_has_left_is_refused_and_writes_nothing(
    two: Settings, client: redis.Redis, second: redis.Redis, keys: LedgerKeys, shard: str, left: int
):
    servers = client, second
    servers[left].set(keys.layout, MOVING)
    service = Service(Components(two.model_copy(update={"ingest_shard": shard})))
    with pytest.raises(SettingsError, match="is being moved to other servers, or was"):
        await service.startup()
    await service.components.ledger.close()
    service.components.active_configuration.close()
    found = [[*server.scan_iter(f"{keys.namespace}:*")] for server in servers]
    assert found == [[keys.layout.encode()] if at == left else [] for at in (0, 1)]


def test_as_many_ledgers_as_shards_are_needed(two: Settings):
    with pytest.raises(SettingsError, match="LEDGER_URLS names 2 ledgers, and INGEST_SHARD 0/4 is one of 4 shards"):
        IngestLedger(two.model_copy(update={"ingest_shard": "0/4"}))
