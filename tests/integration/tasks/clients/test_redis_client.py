"""A connection to Redis that closes at the moment at which something is sent."""

import asyncio

import pytest
import redis

from tasks.clients.redis_client import connect_async, connection_options
from tasks.event_loop import new_event_loop
from tasks.settings import Settings


def test_sending_into_a_connection_that_just_closed_is_a_lost_connection(settings: Settings):
    async def run() -> None:
        async with connect_async(settings, settings.ledger, **connection_options()) as client:
            connection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py's gap
            connection._writer.transport.abort()
            await asyncio.sleep(0)
            with pytest.raises(redis.ConnectionError, match="closed"):
                await connection.send_packed_command(b"PING\r\n", check_health=False)
            await client.connection_pool.release(connection)
            assert await client.ping()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run())
