"""Reading a stream whose server lost the end of it: what has the numbers now is not taken for what had them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.sources.pull import Pacing
from ingest.sources.resume import StoredOffsets
from tasks.events import Position
from tasks.settings import Settings
from tests.support.servers.losing import ForgetfulNats
from tests.support.streaming import Reader, numbered, opened, publish, reading

KEPT, READ = 90, 100
#: What the frames are called that come after the loss, so that they are told from those that had their numbers.
LATER = 1_001


class Scene:
    """A server, and what a process had read of its stream when the server lost the end of it."""

    def __init__(self, instance: Instance) -> None:
        server, url = start_nats(instance)
        self.nats = ForgetfulNats(instance, server, url)
        self.settings = Settings(
            nats_url=url,
            nats_subjects="frames.>",
            ingest_source="jetstream",
            ingest_start="first",
            ingest_stream_max_bytes=2**26,
        )

    @asynccontextmanager
    async def having_read(self) -> AsyncIterator[Reader]:
        """Yield a reader of frames of which the server is to lose the last."""
        async with opened(self.settings, KEPT) as reader:
            await reader.until(lambda: len(reader.frames) == KEPT)
            self.nats.save()
            await publish(self.settings, READ - KEPT, first=KEPT + 1)
            await reader.until(lambda: len(reader.frames) == READ)
            yield reader

    async def lose(self, later: int) -> None:
        self.nats.lose()
        self.nats.start()
        await publish(self.settings, later, first=LATER)

    @asynccontextmanager
    async def having_lost(self, later: int) -> AsyncIterator[Reader]:
        """Yield a reader of frames of which the last are lost; so many others were published before it comes back."""
        async with self.having_read() as reader:
            await self.lose(later)
            yield reader


def later(count: int) -> list[tuple[int, bytes]]:
    return [(KEPT + 1 + number, b"%d" % (LATER + number)) for number in range(count)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Instance("losing") as instance:
        yield Scene(instance)


#: Fewer frames than were lost, and more: then the stream reaches beyond where it was read.
@pytest.mark.parametrize("count", [0, 4, 25])
async def test_a_reader_asks_for_an_epoch_and_reads_on_as_another_source(scene, count: int):
    """The stream lost frames that were read, and gives their numbers to what came since."""

    async with scene.having_lost(later=count) as reader:
        await reader.until(lambda: reader.source.outdated)
        assert (reader.frames, reader.lost) == (numbered(1, READ), 0)
        mine = Position(reader.read.source, READ)
        start = await reader.source.begin(StoredOffsets([mine], [mine]), mine)
        assert start == Position(f"{mine.source}.1", KEPT)
        reader.source.resume(start)
        await publish(scene.settings, 1, first=LATER + count)
        await reader.until(lambda: len(reader.frames) == READ + count + 1)
        assert reader.frames[READ:] == later(count + 1)
        assert not reader.source.outdated


@pytest.mark.parametrize("count", [0, 4, 25])
async def test_a_start_after_the_loss_finds_it_and_the_starts_after_that_go_on(scene, count: int):
    async with scene.having_lost(later=count) as before:
        read = before.read
    stood = Position(read.source, READ)
    frontier = Position(read.source, KEPT - 5)
    for stored in (StoredOffsets([stood], [], [read]), StoredOffsets([frontier], [stood], [read])):
        async with reading(scene.settings) as reader:
            await reader.source.prepare()
            start = await reader.source.begin(stored, None)
            assert start == Position(f"{read.source}.1", min(KEPT, stored.frontiers[0].seq))
    async with reading(scene.settings) as reader:
        await reader.source.prepare()
        assert await reader.source.begin(StoredOffsets([start], [start], [read]), None) == start


async def test_a_loss_that_one_shard_has_noticed_counts_for_another_that_has_not(scene):
    async with scene.having_lost(later=10) as before:
        read = before.read
    stood, noticed = Position(read.source, READ), Position(f"{read.source}.1", KEPT + 8)
    async with reading(scene.settings) as reader:
        await reader.source.prepare()
        # As a new layout begins, whose shards read on from where the lowest of those before stood.
        start = await reader.source.begin(StoredOffsets([stood, noticed], [stood, noticed], [read]), None)
        assert start == Position(noticed.source, KEPT)


async def test_without_a_frame_to_know_again_the_stream_is_read_from_its_end(scene):
    async with scene.having_lost(later=4) as before:
        stood = Position(before.read.source, READ)
    async with reading(scene.settings) as reader:
        await reader.source.prepare()
        assert await reader.source.begin(StoredOffsets([stood]), None) == Position(f"{stood.source}.1", KEPT + 4)


async def test_a_stream_that_lost_nothing_or_was_purged_goes_on_as_it_was(scene):
    async with opened(scene.settings, READ) as before:
        await before.until(lambda: len(before.frames) == READ)
        read = before.read
        stood = Position(read.source, READ)
        for purged in (False, True):
            if purged:
                await before.nats.client.jetstream().purge_stream(scene.settings.ingest_stream)
            async with reading(scene.settings) as reader:
                await reader.source.prepare()
                assert await reader.source.begin(StoredOffsets([stood], [stood], [read]), None) == stood


async def test_a_loss_is_noticed_while_frames_before_it_are_read_again(scene):
    async with scene.having_read() as before:
        read = before.read
    stood, frontier = Position(read.source, READ), Position(read.source, KEPT - 50)
    # When: a process starts at the frontier, and the server loses what is read again later.
    async with reading(scene.settings, Pacing(batch=2)) as reader:
        await reader.source.prepare()
        reader.source.resume(await reader.source.begin(StoredOffsets([frontier], [stood], [read]), None))
        reader.room = 1
        await reader.source.open(reader.deliver)
        await reader.until(lambda: reader.frames)
        await scene.lose(later=25)
        reader.room = 10**9
        await reader.until(lambda: reader.source.outdated)
        assert reader.read == read
        start = await reader.source.begin(StoredOffsets([frontier], [stood], [read]), frontier)
        assert start == Position(f"{read.source}.1", frontier.seq)
