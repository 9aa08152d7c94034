"""Who leads a shard, on a real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio as redis

from compose.local.processes import Instance
from compose.local.servers import free_port, start_redis
from tasks.ledger.lease import TTL_S, Lease, SupersededError
from tests.support.waiting import HANGS_S


@asynccontextmanager
async def leases(url: str, key: str, count: int = 2, ttl_s: float = TTL_S) -> AsyncIterator[list[Lease]]:
    clients = [redis.Redis.from_url(url) for _ in range(count)]
    try:
        yield [Lease(client, key, f"holder{number}", ttl_s) for number, client in enumerate(clients)]
    finally:
        for client in clients:
            await client.aclose()


async def test_one_leads_and_the_other_gets_it_at_once_when_it_is_released(redis_url, namespace):
    async with leases(redis_url, namespace) as (first, second):
        assert not first.held
        assert await first.take()
        assert not await second.take()
        assert (first.held, second.held) == (True, False)
        await first.release()
        assert not first.held
        assert await second.take()


async def test_a_lease_that_is_not_renewed_ends_no_later_than_in_redis(redis_url, namespace):
    """A holder that releases it late takes nothing from its successor."""
    async with leases(redis_url, namespace, ttl_s=0.3) as (first, second):
        assert await first.take()
        deadline_s = time.monotonic() + HANGS_S
        while not await second.take():
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.01)
        assert not first.held
        with pytest.raises(SupersededError):
            await first.renew()
        assert not first.held
        # A late release takes nothing from its successor.
        await first.release()
        assert not await first.take()


async def test_a_leader_goes_on_when_redis_lost_the_lease_and_nobody_took_it():
    with Instance("lease") as instance:
        port = free_port()
        server, url = start_redis(instance, port=port)
        async with leases(url, "lease", 1) as (only,):
            assert await only.take()
            await asyncio.to_thread(instance.stop, server)
            with pytest.raises(redis.ConnectionError):
                await only.renew()
            await asyncio.to_thread(start_redis, instance, "again", port)
            await only.renew()
            assert only.held


async def test_renewing_keeps_it(redis_url, namespace):
    async with leases(redis_url, namespace, 1) as (only,):
        client = redis.Redis.from_url(redis_url)
        await only.take()
        await client.pexpire(namespace, 500)
        await only.renew()
        assert 500 < await client.pttl(namespace) <= TTL_S * 1000
        await client.aclose()


async def test_a_leader_that_renews_a_forgotten_lease_twice_at_once_keeps_it(redis_url, namespace):
    async with leases(redis_url, namespace, 1) as (only,):
        client = only._lock.redis
        await only.take()
        await asyncio.gather(client.ping(), client.ping())  # a connection for each of them
        await client.delete(namespace)
        await asyncio.gather(only.renew(), only.renew())
        assert only.held
