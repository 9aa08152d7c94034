"""A SOCKS5 proxy without a login, as far as a client needs one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.servers.proxying import proxying


@asynccontextmanager
async def socks(asked_for: list[str]) -> AsyncIterator[str]:
    """Yield host and port of a proxy; the names that clients ask it for go into `asked_for`, and are all this machine."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        await _shake_hands(reader, writer)
        return await _port(reader, asked_for)

    async with proxying(greet, b"\x05\x00\x00\x01" + bytes(6)) as address:
        yield address


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
