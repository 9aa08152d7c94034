"""TCP servers of tests, and connections to them, of which none outlives its `async with`.

`asyncio.start_server` promises less: a connection that it accepts while it ends is nobody's, and before Python 3.12
`Server.wait_closed` waits for none. What is left open then fails a later test, which has nothing to do with it.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from typing import NamedTuple

#: Called with each client, whose connection ends when it returns.
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_HOST = "127.0.0.1"
_READ_BYTES = 64 * 1024


class StreamPair(NamedTuple):
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Protocol(asyncio.StreamReaderProtocol):
    """Knows when its socket is let go of, however often one stops waiting for that."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost.set()

    async def close(self, transport: asyncio.WriteTransport) -> None:
        """Send what is written and close; where one is cancelled meanwhile, reset."""
        transport.close()
        try:
            await self._lost.wait()
        except asyncio.CancelledError:
            transport.abort()
            await self._lost.wait()
            raise


@asynccontextmanager
async def tcp_server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Yield the free port that it listens on; at the end every connection is reset, and nothing of it is left.

    Raises what `serve` raised, but for a client that has left.
    """
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []
    accepted: list[socket.socket] = []

    def accept() -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            client, _ = listener.accept()
            accepted.append(client)
            tasks.append(loop.create_task(_serve_one(serve, client, tls)))

    with socket.create_server((_HOST, 0), backlog=100) as listener:
        listener.setblocking(False)  # noqa: FBT003 the standard library's signature
        loop.add_reader(listener, accept)
        try:
            yield int(listener.getsockname()[1])
        finally:
            loop.remove_reader(listener)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            for client in accepted:  # of a task that had not begun; to close the others' again is no fault
                client.close()
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _serve_one(serve: Serve, client: socket.socket, tls: ssl.SSLContext | None) -> None:
    client.setblocking(False)  # noqa: FBT003 the standard library's signature
    protocol = _Protocol(reader := asyncio.StreamReader())
    loop = asyncio.get_running_loop()
    with suppress(OSError, asyncio.IncompleteReadError):
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, client, ssl=tls)
        await _used(serve, StreamPair(reader, asyncio.StreamWriter(transport, protocol, reader, loop)), protocol)


async def _used(serve: Serve, connection: StreamPair, protocol: _Protocol) -> None:
    try:
        await serve(*connection)
    except asyncio.CancelledError:
        connection.writer.transport.abort()
        raise
    finally:
        await protocol.close(connection.writer.transport)


@asynccontextmanager
async def tcp_connection(port: int, *, receive_buffer_bytes: int | None = None) -> AsyncIterator[StreamPair]:
    """Yield a connection to a port of this machine, which is reset at the end. Raises OSError."""
    loop = asyncio.get_running_loop()
    protocol = _Protocol(reader := asyncio.StreamReader())
    with closing(socket.socket()) as client:
        client.setblocking(False)  # noqa: FBT003 the standard library's signature
        if receive_buffer_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        await loop.sock_connect(client, (_HOST, port))
        transport, _ = await loop.create_connection(lambda: protocol, sock=client)
        try:
            yield StreamPair(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
        finally:
            transport.abort()
            await protocol.close(transport)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write all that is read until nothing comes any more or a side is gone, and close."""
    with suppress(OSError):
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
