"""A SOCKS5 proxy without a login, as far as a client needs one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def socks(asked_for: list[str]) -> AsyncIterator[str]:
    """Yield host and port of a proxy; the names that clients ask it for go into `asked_for`, and are all this machine."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await _shake_hands(reader, writer)
            there, back = await asyncio.open_connection("127.0.0.1", await _port(reader, asked_for))
            writers.append(back)
            writer.write(b"\x05\x00\x00\x01" + bytes(6))
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


async def _shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")


async def _port(reader: asyncio.StreamReader, asked_for: list[str]) -> int:
    # Version, command, nothing, kind of address: a name.
    assert await reader.readexactly(4) == b"\x05\x01\x00\x03"
    name = await reader.readexactly((await reader.readexactly(1))[0])
    asked_for.append(name.decode())
    return int.from_bytes(await reader.readexactly(2), "big")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
