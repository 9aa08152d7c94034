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
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self
from weakref import WeakSet

from tests.support.servers.tcp import tcp_connection, tcp_server
from tests.support.waiting import cancelled

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
        self.port = self.accepted = 0
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._writers: WeakSet[asyncio.StreamWriter] = WeakSet()
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
        async with tcp_server(self._connect) as self.port:
            self._up.set()
            await self._stop.wait()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        # Where nobody listens behind us, there is nobody before us either.
        async with tcp_connection(self._target, receive_buffer_bytes=_BUFFER_BYTES) as (there, back):
            self._writers.add(back)
            await _first_of(
                self._pump(reader, back, lambda: self.silent),
                self._pump(there, writer, lambda: self.silent or self.mute),
            )
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
            await cancelled(carrying)

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


async def _first_of(*ways: Coroutine[Any, Any, None]) -> None:
    """Run them until one ends, and cancel the others."""
    tasks = [asyncio.create_task(each) for each in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            await cancelled(task)
