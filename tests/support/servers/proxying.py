"""What the proxies of tests share: a server on this machine whose connections end with it, and the passing on of bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

#: Called with each client; returns the port of this machine that it is to reach, or nothing where it is refused.
Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[int | None]]


@asynccontextmanager
async def proxying(greet: Greet, connected: bytes = b"") -> AsyncIterator[str]:
    """Yield host and port of a proxy that says `connected` once a client has reached where it wants to."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            port = await greet(reader, writer)
            if port is None:
                writer.close()
                return
            there, back = await asyncio.open_connection("127.0.0.1", port)
            writers.append(back)
            writer.write(connected)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))

    def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
