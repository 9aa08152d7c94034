"""A master that replicas and Sentinels no longer reach, while its clients do, and the one that takes its place."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import redis
import redis.asyncio

from tasks.clients.redis_client import UNAVAILABLE, connect, connect_async, connection_options
from tasks.settings import Settings
from tests.support.servers.sentinel import MIN_REPLICAS, WatchedServers, watched
from tests.support.waiting import HANGS_S, wait_for


@pytest.fixture
def servers() -> Iterator[WatchedServers]:
    with watched(options=MIN_REPLICAS) as servers:
        yield servers


async def test_clients_of_a_master_that_is_cut_off_find_the_next_one(servers: WatchedServers):
    """Without a reconnection they would stay with the old one: it refuses writes only, and answers everything else."""
    settings = Settings.model_validate(servers.settings)
    # A subscription is pinged before each read: that must not reconnect to where it was before.
    options = connection_options() | {"health_check_interval": 0.01}
    with closing(connect(settings, settings.ledger, **options)) as client:
        async with connect_async(settings, settings.ledger, **options) as asynchronous, asynchronous.pubsub() as pubsub:
            await pubsub.subscribe("notices")
            await asynchronous.set("a", "before")
            client.set("b", "before")
            old = servers.cut_off_master()
            wait_for(lambda: servers.has_failed_over(old), "another master")

            async def write() -> None:
                while True:
                    try:
                        await asynchronous.set("a", "after")
                        client.set("b", "after")
                    except UNAVAILABLE:
                        await asyncio.sleep(0.05)
                    else:
                        return

            await asyncio.wait_for(write(), HANGS_S)
            assert servers.client(servers.master).mget("a", "b") == [b"after", b"after"]
            await asyncio.wait_for(_hear(asynchronous, pubsub, servers), HANGS_S)


async def _hear(client: redis.asyncio.Redis, pubsub: redis.asyncio.client.PubSub, servers: WatchedServers) -> None:
    """Publish at the new master until the subscription hears it; a lost connection is made again.

    A Sentinel that is late may send the subscription to the old master once more; writes go on, and find the new one.
    """
    while True:
        servers.client(servers.master).publish("notices", "from the new one")
        with suppress(*UNAVAILABLE):
            await client.set("a", "again")
            message = await pubsub.get_message(timeout=0.1)
            if message and message["data"] == b"from the new one":
                return
