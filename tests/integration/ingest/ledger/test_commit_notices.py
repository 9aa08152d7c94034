"""The subscription to the notices, on a real server and a line to it that falls silent."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import redis.asyncio as redis

from ingest.ledger.commit_notices import CommitNotices
from tasks.clients.redis_client import connection_options
from tests.support.servers.proxy import Proxy
from tests.support.waiting import HANGS_S

INTERVAL_S = 0.05


@asynccontextmanager
async def subscribed(
    port: int, channel: str, patience_s: float = INTERVAL_S * 10
) -> AsyncIterator[tuple[CommitNotices, redis.Redis]]:
    async with redis.Redis(port=port, **connection_options() | {"health_check_interval": INTERVAL_S}) as client:
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe(channel)
        notices = CommitNotices(pubsub, patience_s, wait_s=INTERVAL_S)
        try:
            yield notices, client
        finally:
            await notices.close()


async def test_a_redis_that_vanished_without_a_word_is_noticed(redis_url: str, namespace: str):
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        async with subscribed(proxy.port, namespace) as (notices, _):
            proxy.silent = True
            with pytest.raises(redis.TimeoutError, match="has not answered"):
                await asyncio.wait_for(_until_one(notices), HANGS_S)


async def test_a_redis_that_has_nothing_to_say_is_not_taken_for_gone(redis_url: str, namespace: str):
    patience_s = 2.0
    async with subscribed(urlsplit(redis_url).port or 0, namespace, patience_s) as (notices, client):
        started_s = time.monotonic()
        while time.monotonic() - started_s < 1.2 * patience_s:
            assert await notices.next() is None
        await client.publish(namespace, "at last")
        assert await asyncio.wait_for(_until_one(notices), HANGS_S) == "at last"


async def _until_one(notices: CommitNotices) -> str:
    while (text := await notices.next()) is None:
        pass
    return text
