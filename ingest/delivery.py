"""Knowing that NATS has what was published."""

from nats.aio.client import Client


async def delivered(client: Client, timeout_s: float = 10) -> None:
    """Wait until the server has all that was published on this connection. Raises nats.errors.Error.

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
