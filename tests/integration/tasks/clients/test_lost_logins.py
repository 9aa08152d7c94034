"""A NATS server that closes a connection before the login is through: each attempt leaves nothing behind."""

import asyncio
import gc
import warnings

from tasks.clients.nats_client import NatsClient
from tasks.settings import Settings
from tests.support.feeds import until
from tests.support.servers.tcp import tcp_server


async def ignore(_: Exception) -> None:
    """It is what is to be seen."""


async def closed_in_an_attempt(turns: int) -> NatsClient:
    """Return a client that lost its server, and was closed so many turns of the event loop later."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if opened.is_set():
            await asyncio.Event().wait()
        writer.write(b'INFO {"max_payload":1048576}\r\n')
        await reader.readuntil(b"PING\r\n")
        writer.write(b"PONG\r\n")
        await opened.wait()

    opened = asyncio.Event()
    async with tcp_server(serve) as port:
        client = NatsClient(Settings(nats_url=f"nats://127.0.0.1:{port}"))
        await client.open("test", ignore, reconnect_time_wait=0.01, max_reconnect_attempts=-1)
        opened.set()
        await until(lambda: client._reconnection_task, "the loss")
        for _ in range(turns):
            await asyncio.sleep(0)
        await client.close()
    return client


async def test_a_close_at_any_moment_of_an_attempt_leaves_nothing_behind():
    with warnings.catch_warnings(record=True, action="always") as caught:
        for turns in range(8, 16):
            client = await closed_in_an_attempt(turns)
            assert client._reconnection_task is None or client._reconnection_task.done(), turns
            del client
            gc.collect()
    assert [str(warning.message) for warning in caught] == []


async def test_an_attempt_that_fails_at_the_login_leaves_no_connection_open():
    accepted: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        if len(accepted) == 1:
            writer.write(b'INFO {"max_payload":1048576}\r\n')
            await reader.readuntil(b"PING\r\n")
            writer.write(b"PONG\r\n")
            await opened.wait()

    with warnings.catch_warnings(record=True, action="always") as caught:
        opened = asyncio.Event()
        async with tcp_server(serve) as port:
            client = NatsClient(Settings(nats_url=f"nats://127.0.0.1:{port}"))
            await client.open("test", ignore, reconnect_time_wait=0.01, max_reconnect_attempts=-1)
            opened.set()
            await until(lambda: len(accepted) > 4, "some attempts to connect again")
            await client.close()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
