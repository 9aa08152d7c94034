"""A NATS server that closes a connection before the login is through: each attempt leaves nothing behind."""

import asyncio
import gc
import warnings

from tasks.clients.nats_client import NatsClient
from tasks.settings import Settings
from tests.support.feeds import until


async def test_an_attempt_that_fails_at_the_login_leaves_no_connection_open():
    accepted: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        if len(accepted) == 1:
            writer.write(b'INFO {"max_payload":1048576}\r\n')
            await reader.readuntil(b"PING\r\n")
            writer.write(b"PONG\r\n")
            await opened.wait()
        writer.close()

    async def ignore(_: Exception) -> None:
        """It is what is to be seen."""

    with warnings.catch_warnings(record=True, action="always") as caught:
        opened = asyncio.Event()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            client = NatsClient(Settings(nats_url=f"nats://127.0.0.1:{port}"))
            await client.open("test", ignore, reconnect_time_wait=0.01, max_reconnect_attempts=-1)
            opened.set()
            await until(lambda: len(accepted) > 4, "some attempts to connect again")
            await client.close()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
