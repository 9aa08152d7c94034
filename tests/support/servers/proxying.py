"""What the proxies of tests share: where a client wants to is asked for first, then bytes are passed on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.support.servers.tcp import pass_on, tcp_connection, tcp_server

#: Called with each client; returns the port of this machine that it is to reach, or nothing where it is refused.
Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[int | None]]


@asynccontextmanager
async def proxying(greet: Greet, connected: bytes = b"") -> AsyncIterator[str]:
    """Yield host and port of a proxy that says `connected` once a client has reached where it wants to."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (port := await greet(reader, writer)) is None:
            return
        async with tcp_connection(port) as (there, back):
            writer.write(connected)
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    async with tcp_server(serve) as port:
        yield f"127.0.0.1:{port}"
