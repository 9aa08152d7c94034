"""An HTTP proxy that knows CONNECT only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.servers.proxying import proxying


@asynccontextmanager
async def connect_proxy(heads: list[str], status: str = "200 Connection established") -> AsyncIterator[str]:
    """Yield host and port of a proxy; what clients ask it goes into `heads`, and every host is this machine."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        return int(head.split()[1].rpartition(":")[2]) if status.startswith("200") else None

    async with proxying(greet) as address:
        yield address
