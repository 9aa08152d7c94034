"""A stop before a Redis is full, against real servers with a small limit that something else fills up."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import HOST, free_port, start_redis
from ingest.ledger import IngestLedger
from ingest.monitoring.memory_guard import MemoryGuard
from ingest.monitoring.server_stats import ServerProbe, ServerStats
from tasks.protocol.routing import Pool
from tasks.settings import Settings
from tests.support.sending import Rig
from tests.support.waiting import wait_for

FILLER = "somebody else's"


@pytest.fixture
def small() -> Iterator[str]:
    """A server that may use 8 MB."""
    with Instance("memory_guard") as instance:
        yield start_redis(instance, options=("--maxmemory", "8mb"))[1]


def fill(client: Any, share: float) -> None:
    """Fill it up to a share of its limit."""
    while (about := client.info("memory"))["used_memory"] < share * about["maxmemory"]:
        client.rpush(FILLER, b"x" * 20_000)


def empty(client: Any) -> None:
    """Undo that; the server frees the memory when it finds the time."""
    client.delete(FILLER)
    wait_for(lambda: client.info("memory")["used_memory"] < 4 * 1024**2, "the memory")


async def test_batches_wait_while_redis_is_almost_full_and_go_out_when_it_is_not(small: str, namespace: str):
    settings = Settings(redis_url=small, namespace=namespace)

    guard = MemoryGuard(0.9)

    async def scenario(rig: Rig) -> None:
        server_probe = ServerProbe(rig.ledger, [Pool("trade", ("trade",))], guard)
        await rig.sender.begin()
        rig.offer()
        await rig.sent()
        fill(rig.client, 0.95)
        await server_probe.ask()
        assert server_probe.seen is not None
        assert server_probe.seen.redis_full
        # What is in flight is committed, also now; nothing follows it.
        first = rig.queue.take_batch()
        rig.offer()
        assert rig.queue.commit(first) == "committed"
        await rig.until(lambda: rig.counters.totals.of("committed") == 1, looking=True)
        rig.offer()
        await rig.sender.poll(all_lanes=True)
        assert (len(rig.queue), rig.lanes.held, rig.counters.totals.of("batches_sent")) == (0, 2, 1)
        empty(rig.client)
        await server_probe.ask()
        await rig.until(lambda: len(rig.queue), looking=True)
        assert [event.id for event in rig.queue.take_batch().events] == [2, 3]
        assert rig.counters.totals.of("dropped", "overflow") == 0
        refused: Any = rig.client.info("errorstats")
        assert "errorstat_OOM" not in refused

    rig = Rig(settings, may_send=lambda: not guard.full)
    try:
        await scenario(rig)
    finally:
        await rig.close()


@pytest.mark.parametrize("which", ["broker_url", "result_url", "ledger_url"])
async def test_a_full_server_stops_batches_whichever_of_the_three_it_is(
    small: str, redis_url: str, namespace: str, which: str
):
    split = Settings(redis_url=redis_url, namespace=namespace).model_copy(update={which: small})
    ledger = IngestLedger(split)
    memory_guard = MemoryGuard(0.9)
    server_probe = ServerProbe(ledger, [Pool("trade", ("trade",))], memory_guard)

    async def seen() -> ServerStats:
        await server_probe.ask()
        assert server_probe.seen is not None
        return server_probe.seen

    with redis.Redis.from_url(small) as client:
        try:
            before = await seen()
            fill(client, 0.95)
            full = await seen()
            empty(client)
            after = await seen()
        finally:
            await ledger.close()
        assert [each.redis_full for each in (before, full, after)] == [False, True, False]
        assert full.redis_limit_bytes == 8 * 1024**2
        assert full.redis_used_bytes is not None
        assert full.redis_used_bytes > 0.9 * full.redis_limit_bytes


@pytest.mark.parametrize(("full", "stops"), [(0, (True, False)), (1, (False, True))], ids=["first", "second"])
async def test_a_full_ledger_stops_batches_of_its_own_shard_alone(
    small: str, redis_url: str, namespace: str, full: int, stops: tuple[bool, bool]
):
    urls = (small, redis_url) if full == 0 else (redis_url, small)
    split = Settings(redis_url=redis_url, ledger_urls=" ".join(urls), nats_partitions=2, namespace=namespace)
    with redis.Redis.from_url(small) as client:
        fill(client, 0.95)
    for shard in (0, 1):
        ledger = IngestLedger(split.model_copy(update={"ingest_shard": f"{shard}/2"}))
        memory_guard = MemoryGuard(0.9)
        try:
            await ServerProbe(ledger, [Pool("trade", ("trade",))], memory_guard).ask()
        finally:
            await ledger.close()
        assert memory_guard.full == stops[shard]
        told = [each.sign for each in memory_guard.findings()]
        assert told == (["fault"] if stops[shard] else ["warning"] if full == 0 else [])


async def test_a_first_ledger_that_is_the_broker_too_stops_under_any_login(small: str, redis_url: str, namespace: str):
    first, broker = (small.replace("//", f"//default:{password}@") for password in ("a", "b"))
    urls = {"ledger_urls": f"{first} {redis_url}", "broker_url": broker, "ingest_shard": "1/2"}
    ledger = IngestLedger(Settings(redis_url=redis_url, nats_partitions=2, namespace=namespace).model_copy(update=urls))
    memory_guard = MemoryGuard(0.9)
    with redis.Redis.from_url(small) as client:
        fill(client, 0.95)
    try:
        await ServerProbe(ledger, [Pool("trade", ("trade",))], memory_guard).ask()
    finally:
        await ledger.close()
    assert memory_guard.full


async def test_an_unavailable_result_store_neither_blocks_nor_hides_the_ledger(redis_url: str, namespace: str):
    nowhere = f"redis://{HOST}:{free_port()}/0"
    ledger = IngestLedger(Settings(redis_url=redis_url, result_url=nowhere, namespace=namespace))
    server_probe = ServerProbe(ledger, [Pool("trade", ("trade",))], MemoryGuard(0.9))

    try:
        await server_probe.ask()
    finally:
        await ledger.close()
    assert server_probe.seen is not None
    assert server_probe.seen.redis_used_bytes
    assert not server_probe.seen.redis_full


def test_without_the_stop_the_same_server_would_refuse_writes(small: str):
    with redis.Redis.from_url(small) as client:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            fill(client, 1.1)
        assert "errorstat_OOM" in client.info("errorstats")
