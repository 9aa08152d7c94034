"""What ingest learns of the servers and of who is there."""

import asyncio
import json

import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_redis
from ingest.ledger import IngestLedger
from ingest.monitoring.memory_guard import MemoryGuard
from ingest.monitoring.server_stats import ServerProbe, ServerStats
from ingest.relay import GROUP
from tasks.ledger import LedgerKeys
from tasks.ledger.heartbeats import Heartbeat
from tasks.protocol.routing import Pool
from tasks.settings import Settings
from tests.support.servers.silent import silent_server
from tests.support.waiting import HANGS_S


async def ask(settings: Settings) -> ServerStats:
    """Ask once, with connections of its own."""
    ledger = IngestLedger(settings)
    server_probe = ServerProbe(ledger, [Pool("depth", ("trade",)), Pool("trade", ("trade",))], MemoryGuard(0.9))
    try:
        await server_probe.ask()
    finally:
        await ledger.close()
    assert server_probe.seen is not None
    return server_probe.seen


async def test_an_empty_ledger_has_nothing_to_tell_but_memory_and_disk(settings: Settings):
    seen = await ask(settings)
    assert (seen.queues, seen.workers, seen.deadletters) == ({"depth": 0, "trade": 0}, 0, 0)
    assert (seen.deadletter_age_s, seen.signals_waiting, seen.redis_save_failing) == (0, None, False)
    assert seen.redis_used_bytes
    assert seen.redis_limit_bytes == 0


async def test_queues_dead_letters_waiting_signals_and_workers_are_counted(
    settings: Settings, client: redis.Redis, keys: LedgerKeys
):
    client.rpush(f"{settings.celery_prefix}trade", "a task", "another")
    seconds, _ = client.time()
    client.xadd(keys.deadletters, {"letter": "old"}, id=f"{seconds * 1000 - 60_000}-0")
    client.xadd(keys.deadletters, {"letter": "new"})
    client.xdel(keys.deadletters, client.xadd(keys.deadletters, {"letter": "removed"}))
    client.xgroup_create(keys.signals, GROUP, id="0", mkstream=True)
    for number in range(3):
        client.xadd(keys.signals, {"signal": str(number)})
    client.xreadgroup(GROUP, "relay", {keys.signals: ">"}, count=1)
    # It is alive however long this takes.
    entry = {
        "seen_s": seconds + HANGS_S,
        "clock_ms": seconds * 1000,
        "queues": ["trade"],
        "processes": 2,
        "version": "1",
    }
    client.hset(keys.workers, mapping={"a@host": json.dumps(entry), "b@host": json.dumps(entry | {"seen_s": 1})})
    seen = await ask(settings)
    assert seen.queues == {"depth": 0, "trade": 2}
    assert (seen.deadletters, seen.deadletters_written) == (2, 3)
    assert (seen.signals_waiting, seen.workers) == (3, 1)
    assert [seen.workforce.processes(pool) for pool in ("depth", "trade")] == [0, 2]
    assert 60 <= seen.deadletter_age_s < 60 + HANGS_S


async def test_without_the_right_to_info_all_other_figures_are_reported():
    with Instance("server_probe") as instance:
        _, url = start_redis(instance)
        with redis.Redis.from_url(url) as client:
            client.acl_setuser("strict", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-info"])
        seen = await ask(Settings(redis_url=url.replace("//", "//strict:secret@")))
    assert (seen.redis_used_bytes, seen.redis_limit_bytes, seen.redis_save_failing) == (None, None, None)
    assert seen.deadletters == 0


async def test_an_answer_stands_until_the_next_one_is_there(settings: Settings):
    ledger = IngestLedger(settings)
    server_probe = ServerProbe(ledger, [Pool("depth", ("trade",))], MemoryGuard(0.9))
    await server_probe.ask()
    asking = asyncio.create_task(server_probe.ask())
    seen = []
    while not asking.done():
        seen.append(server_probe.seen)
        await asyncio.sleep(0)
    await ledger.close()
    assert len(seen) > 1
    assert None not in seen


async def test_an_answer_is_forgotten_when_redis_has_gone():
    with Instance("server_probe") as instance:
        process, url = start_redis(instance)
        ledger = IngestLedger(Settings(redis_url=url))
        server_probe = ServerProbe(ledger, [], MemoryGuard(0.9))
        await server_probe.ask()
        assert server_probe.seen is not None
        await asyncio.to_thread(instance.stop, process)
        with pytest.raises(redis.ConnectionError):
            await server_probe.ask()
        await ledger.close()
        assert server_probe.seen is None


async def test_a_raising_strategy_and_a_queue_without_workers_are_found(
    settings: Settings, client: redis.Redis, keys: LedgerKeys
):
    ledger = IngestLedger(settings)
    server_probe = ServerProbe(ledger, [Pool("depth", ("trade",)), Pool("trade", ("trade",))], MemoryGuard(0.9))
    listener = Heartbeat(settings, "a@host")
    await listener.announce(1, ["depth"])
    await server_probe.ask()
    sweeping = Heartbeat(settings, "b@host")
    await sweeping.announce(1, ["research"])
    client.hincrby(keys.counters, "errors:boom", 12)
    await server_probe.ask()
    await listener.close()
    await sweeping.close()
    await ledger.close()
    assert server_probe.seen is not None
    assert server_probe.seen.workers == 1, "a worker of sweeps alone is none that a pool can count on"
    found = [(finding.name, finding.what) for finding in server_probe.findings()]
    assert found == [("queue_unserved", "queue trade"), ("strategy_errors", "strategy boom")]


async def test_a_result_store_that_hangs_is_found_and_nobody_waits_for_it(settings: Settings):
    with silent_server() as store:
        ledger = IngestLedger(settings.model_copy(update={"result_url": store.url}))
        server_probe = ServerProbe(ledger, [Pool("trade", ("trade",))], MemoryGuard(0.9))
        await server_probe.ask()
        asking = asyncio.create_task(server_probe.ask())
        while len(store.taken) < 2:
            await asyncio.sleep(0)
        await server_probe.ask_workers()
        assert not asking.done()
        await asking
        await ledger.close()
    found = {finding.name: finding for finding in server_probe.findings()}
    assert found["results_away"].sign == "warning"
    assert store.url in found["results_away"].says


async def test_a_result_store_that_may_not_tell_of_itself_is_not_found(settings: Settings, client: redis.Redis):
    login = f"{settings.namespace}-results"
    client.acl_setuser(login, enabled=True, passwords=["+secret"], keys="*", commands=["+@all", "-info"])
    url = settings.ledger.replace("//", f"//{login}:secret@")
    try:
        ledger = IngestLedger(settings.model_copy(update={"result_url": url}))
        server_probe = ServerProbe(ledger, [Pool("trade", ("trade",))], MemoryGuard(0.9))
        await server_probe.ask()
        await ledger.close()
    finally:
        client.acl_deluser(login)
    assert "results_away" not in {finding.name for finding in server_probe.findings()}
