"""The source of plain NATS on a real server, driven by a test."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ingest.connectivity import Connectivity
from ingest.sources.core import CoreSource
from ingest.transport.connection import NatsConnection
from tasks.settings import Settings
from tests.support.waiting import HANGS_S


class Listener:
    """A source, and what it delivered."""

    def __init__(self, url: str, subjects: str, fails_on: bytes = b"") -> None:
        self.parts = Connectivity({"nats": url})
        self.slow = 0
        self.frames: list[tuple[str, bytes]] = []
        self.headers: list[Mapping[str, str] | None] = []
        self._fails_on = fails_on
        self.nats = NatsConnection(Settings(nats_url=url), self.parts, self._on_slow)
        self.source = CoreSource(self.nats, subjects)

    def _on_slow(self) -> None:
        self.slow += 1

    def deliver(self, subject: str, raw: bytes, headers: Mapping[str, str] | None, *_: object) -> None:
        if raw == self._fails_on:
            raise ValueError(raw)
        self.frames.append((subject, raw))
        self.headers.append(headers)


@asynccontextmanager
async def listening(url: str, subjects: str, fails_on: bytes = b"") -> AsyncIterator[Listener]:
    listener = Listener(url, subjects, fails_on)
    await listener.nats.connect()
    await listener.source.open(listener.deliver)
    try:
        yield listener
    finally:
        await listener.nats.close()


async def until(condition: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + HANGS_S
    while not condition():
        assert time.monotonic() < deadline_s, "timed out"
        await asyncio.sleep(0.01)
