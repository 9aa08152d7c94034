"""The reader of a stream on a real server, driven by a test."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import nats

from ingest.connectivity import Connectivity
from ingest.sources.consumer import StreamConsumer
from ingest.sources.jetstream import DEFAULT_PACING, StreamSource
from ingest.sources.pull import Pacing
from ingest.sources.resume import LastFrame, StoredOffsets
from ingest.transport.connection import NatsConnection
from tasks.clients.nats_client import NatsClient
from tasks.events import Position
from tasks.settings import Settings
from tests.support.waiting import HANGS_S

LOOK_S = 0.02
#: Makes the consumers that a reader reads through.
MakeConsumer = Callable[[NatsClient, str], StreamConsumer]


def settings_of_a_stream(nats_url: str, namespace: str) -> Settings:
    """Return settings that read a stream of their own from its first frame."""
    return Settings(
        nats_url=nats_url,
        nats_subjects=f"{namespace}.>",
        ingest_source="jetstream",
        ingest_start="first",
        ingest_stream=namespace,
        ingest_stream_max_bytes=2**26,
    )


class Reader:
    """A source whose service looks at it as often as it should, and what it delivered."""

    def __init__(self, settings: Settings, pacing: Pacing, make_consumer: MakeConsumer = StreamConsumer) -> None:
        self.settings = settings
        self.nats = NatsConnection(settings, Connectivity({"nats": settings.nats_url}), lambda: None)
        #: There is room for so many frames.
        self.room = 10**9
        self.lost = 0
        self.source = StreamSource(
            self.nats, settings, lambda: len(self.frames) < self.room, self._on_lost, pacing, make_consumer
        )
        self.frames: list[tuple[int, bytes]] = []
        #: Up to where it was told that there is nothing more of its own.
        self.passed = 0

    def assign(self, subjects: Sequence[str]) -> None:
        """Read only these subjects."""

        def passed(seq: int) -> None:
            self.passed = seq

        self.source.assign(subjects, passed)

    def _on_lost(self, count: int) -> None:
        self.lost += count

    def deliver(
        self, _subject: str, raw: bytes, _headers: object, seq: int = 0, stored_at_ns: int | None = None
    ) -> None:
        assert stored_at_ns
        assert abs(time.time_ns() - stored_at_ns) < 60e9
        self.frames.append((seq, raw))

    async def begin(self, after: int | None = None) -> None:
        """Read after a position, or from where a first start begins."""
        await self.source.prepare()
        start = await self.source.begin(StoredOffsets(), None)
        self.source.resume(start if after is None else Position(start.source, after))

    @property
    def read(self) -> LastFrame:
        """The last frame that it read."""
        assert self.source.read is not None
        return self.source.read

    @property
    def has_compared(self) -> bool:
        """Whether it knows of all numbers that the stream jumped over what they were."""
        return not self.source._cursor.gaps.count

    @property
    def consumer(self) -> StreamConsumer:
        """The consumer that it reads from."""
        assert self.source._consumer is not None
        return self.source._consumer

    async def until(self, condition: Callable[[], Any]) -> None:
        deadline_s = time.monotonic() + HANGS_S
        while not condition():
            assert time.monotonic() < deadline_s, f"timed out; {len(self.frames)} frames came"
            await self.source.poll()
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def reading(
    settings: Settings, pacing: Pacing = DEFAULT_PACING, make_consumer: MakeConsumer = StreamConsumer
) -> AsyncIterator[Reader]:
    reader = Reader(settings, pacing, make_consumer)
    await reader.nats.connect()
    try:
        yield reader
    finally:
        await reader.nats.close()


@asynccontextmanager
async def opened(
    settings: Settings, count: int, pacing: Pacing = DEFAULT_PACING, make_consumer: MakeConsumer = StreamConsumer
) -> AsyncIterator[Reader]:
    """Yield a reader of a stream with so many frames, once the first has come."""
    async with reading(settings, pacing, make_consumer) as reader:
        await reader.begin()
        await publish(settings, count)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: reader.frames)
        yield reader


async def publish(settings: Settings, count: int, first: int = 1, subject: str = "x") -> None:
    client = await nats.connect(settings.nats_url)
    context = client.jetstream()
    prefix = settings.nats_subjects.removesuffix(".>")
    for number in range(first, first + count):
        await context.publish(f"{prefix}.{subject}", b"%d" % number)
    await client.close()


def numbered(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(number, b"%d" % number) for number in range(first, last + 1)]
