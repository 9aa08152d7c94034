"""A TCP proxy that misbehaves on request: late, slow, silent, cut.

    with Proxy(6379) as proxy:
        proxy.latency_s = 0.05          # each way
        proxy.bytes_per_s = 20_000      # each way
        proxy.silent = True             # connections stay open and nothing comes through: a peer that vanished
        proxy.mute = True               # the same of what the server says
        proxy.cut()                     # every connection is reset

It runs on a thread of its own and listens on a free port of 127.0.0.1. What was told to it holds for open and for new
connections.
"""

import asyncio
import math
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from compose.local.servers import HOST

_POLL_S = 0.01
_READ_BYTES = 64 * 1024
#: How many reads may be in flight in one direction; more stay with the sender, as on a real line.
_ON_THE_WAY = 4
#: So that a sender notices when we are slow.
_BUFFER_BYTES = 64 * 1024


class Proxy:
    """Between clients and one server."""

    def __init__(self, port: int) -> None:
        """Forward to `port` of this machine."""
        self.latency_s = 0.0
        self.bytes_per_s = math.inf
        self.silent = self.mute = False
        self.port = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._up = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop.set)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection."""
        self._call(self._abort)

    def _call(self, what: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(what)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._stop.wait()
        server.close()
        self._abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        pumps = []
        try:
            there, back = await self._open()
            self._writers.add(back)
            ways = (
                self._pump(reader, back, lambda: self.silent),
                self._pump(there, writer, lambda: self.silent or self.mute),
            )
            pumps = [asyncio.create_task(each) for each in ways]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # nobody listens behind us, so there is nobody before us either
        finally:
            for pump in pumps:
                pump.cancel()
            self._drop(writer, *([back] if pumps else []))

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = socket.socket()
        target.setblocking(False)  # noqa: FBT003 the standard library's signature
        target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        try:
            await self._loop.sock_connect(target, (HOST, self._target))
        except OSError:
            target.close()
            raise
        return await asyncio.open_connection(sock=target)

    def _drop(self, *writers: asyncio.StreamWriter) -> None:
        for writer in writers:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_held: Callable[[], bool]
    ) -> None:
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_ON_THE_WAY)
        carrying = asyncio.create_task(self._carry(line, writer, is_held))
        try:
            with suppress(OSError):
                while data := await reader.read(_READ_BYTES):
                    await line.put((self._loop.time() + self.latency_s, data))
                await line.put((self._loop.time() + self.latency_s, b""))
                await carrying
        finally:
            carrying.cancel()

    async def _carry(
        self, line: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter, is_held: Callable[[], bool]
    ) -> None:
        with suppress(OSError):
            while True:
                due_s, data = await line.get()
                await asyncio.sleep(due_s - self._loop.time())
                while is_held():
                    await asyncio.sleep(_POLL_S)
                if not data:
                    return
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(len(data) / self.bytes_per_s)
