"""Knowing that NATS has what was published."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.errors import ConnectionReconnectingError

from tasks.clients.nats_client import NatsClient


async def confirm_published(client: Client, timeout_s: float = 10) -> None:
    """Wait until the server has all that was published on this connection; its echo is waited for `timeout_s` at most.

    Raises nats.errors.Error: the server may not have all of it.

    nats-py's `flush` does not say so: its PING overtakes what the client still buffers. A message to oneself does not;
    it comes back when the server has dealt with everything before it.
    """
    inbox = client.new_inbox()
    echo = await client.subscribe(inbox)
    try:
        await client.publish(inbox, b"")
        await echo.next_msg(timeout_s)
    finally:
        if client.is_connected:
            await echo.unsubscribe()


@asynccontextmanager
async def confirming_publishes(client: NatsClient) -> AsyncIterator[set[str]]:
    """Wait at the end until the server has all that was published inside; the echo is waited for 10 s at most.

    The yielded set then holds the refused subjects, in lower case: the server reports a refusal before it echoes.
    Raises nats.errors.Error: the server may not have all of it.
    """
    connections = client.stats["reconnects"]
    with client.refusals() as refused:
        yield refused
        await confirm_published(client)
    # An echo on another connection says nothing about what went into the one before.
    if client.stats["reconnects"] != connections:
        raise ConnectionReconnectingError
