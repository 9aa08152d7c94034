"""A connection to NATS that has just ended, before its client knows."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import uvloop
from nats.errors import ConnectionReconnectingError

from ingest.feeds.publisher import CorePublisher
from tasks.clients.nats_client import NatsClient
from tasks.settings import Settings

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


async def end_unnoticed(client: NatsClient) -> None:
    """End the connection; what would have told the client has ended as after a broken pipe."""
    inner: Any = client
    for task in (inner._flusher_task, inner._reading_task):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    inner._transport._io_writer.transport.abort()
    assert client.is_connected


async def ignore(_: Exception) -> None: ...


@pytest.mark.parametrize("new_loop", LOOPS)
def test_publishing_on_it_is_an_error_of_nats(nats_url: str, new_loop: Callable[[], asyncio.AbstractEventLoop]):
    async def publish() -> None:
        client = NatsClient(Settings(nats_url=nats_url))
        await client.open("test", ignore, allow_reconnect=False)
        await end_unnoticed(client)
        with pytest.raises(ConnectionReconnectingError):
            await client.publish("somewhere", b"something")
        await client.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(publish())


@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_live_frame_on_it_is_dropped_and_counted(
    nats_url: str, namespace: str, new_loop: Callable[[], asyncio.AbstractEventLoop]
):
    async def publish() -> tuple[int, int]:
        publisher = CorePublisher(Settings(nats_url=nats_url, namespace=namespace))
        await publisher.open()
        await publisher.publish("btcusdt@trade", b"{}")
        assert await publisher.flush()
        await end_unnoticed(publisher.client)
        await publisher.publish("btcusdt@trade", b"{}")
        counts = publisher.published, publisher.dropped
        await publisher.close()
        return counts

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(publish()) == (1, 1)
