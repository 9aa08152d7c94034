"""What a real stream has forgotten is counted; what others put into it is not ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ingest.sources.jetstream import DEFAULT_PACING
from ingest.sources.pull import Pacing
from ingest.sources.resume import StoredOffsets
from tasks.events import Position
from tasks.settings import Settings
from tests.support.streaming import Reader, numbered, opened, publish, reading, settings_of_a_stream
from tests.support.waiting import HANGS_S


@pytest.fixture
def settings(nats_url: str, namespace: str) -> Settings:
    return settings_of_a_stream(nats_url, namespace)


async def test_frames_that_the_stream_forgot_are_counted_and_the_rest_is_read(settings):
    async with reading(settings) as reader:
        await reader.begin()
        await publish(settings, 30)
        await reader.nats.client.jetstream().purge_stream(settings.ingest_stream, keep=10)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: len(reader.frames) == 10)
        assert (reader.lost, reader.frames) == (20, numbered(21, 30))


async def test_a_message_that_somebody_deletes_is_counted_and_the_rest_is_read(settings):
    async with reading(settings) as reader:
        await reader.begin()
        await publish(settings, 30)
        await reader.nats.client.jetstream().delete_msg(settings.ingest_stream, 15)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: len(reader.frames) == 29)
        assert (reader.lost, reader.frames) == (1, numbered(1, 14) + numbered(16, 30))


async def read_ten_then_forget(reader: Reader, keep: int) -> None:
    """Have ten frames read, and all that follow forgotten but for the last `keep`, before these are read."""
    reader.room = 5
    await reader.source.open(reader.deliver)
    await reader.until(lambda: len(reader.frames) == 10 and reader.has_compared)
    await reader.nats.client.jetstream().purge_stream(reader.settings.ingest_stream, keep=keep)
    reader.room = 10**9


async def test_frames_that_the_stream_forgets_while_it_is_read_are_counted(settings):
    async with reading(settings, Pacing(batch=10)) as reader:
        await reader.begin()
        await publish(settings, 100)
        await read_ten_then_forget(reader, keep=30)
        await reader.until(lambda: len(reader.frames) == 40)
        assert reader.frames == numbered(1, 10) + numbered(71, 100)
        assert reader.lost == 60


async def test_a_stream_that_is_sealed_while_it_is_read_is_read_to_its_end(settings):
    async with reading(settings, Pacing(batch=10)) as reader:
        await reader.begin()
        await publish(settings, 100)
        reader.room = 5
        await reader.source.open(reader.deliver)
        await reader.until(lambda: len(reader.frames) == 10)
        jetstream = reader.nats.client.jetstream()
        config = (await jetstream.stream_info(settings.ingest_stream)).config
        await jetstream.update_stream(config.evolve(sealed=True))
        reader.room = 10**9
        await reader.until(lambda: len(reader.frames) == 100)
        await asyncio.wait_for(reader.source.close(), HANGS_S)
        assert (reader.frames, reader.lost, reader.source.left) == (numbered(1, 100), 0, 0)


async def test_a_stop_while_a_stream_is_created_again_reads_what_it_holds_first(settings):
    async with opened(settings, 30) as reader:
        await reader.until(lambda: len(reader.frames) == 30)
        mine = Position(reader.read.source, 30)
        jetstream = reader.nats.client.jetstream()
        await jetstream.delete_stream(settings.ingest_stream)
        await reader.until(lambda: reader.source.outdated)
        await publish(settings, 5, first=101)
        closing = asyncio.create_task(reader.source.close())
        # Answers come in the order of the requests: by then it knows where the stream ends.
        for _ in range(2):
            await jetstream.stream_info(settings.ingest_stream)
        start = await reader.source.begin(StoredOffsets([mine], [mine]), mine)
        reader.source.resume(start)
        await reader.until(closing.done)
        assert reader.frames[30:] == [(number, b"%d" % (100 + number)) for number in range(1, 6)]
        assert (start.seq, reader.source.left) == (0, 0)


def part_of(settings: Settings) -> Settings:
    """Return settings that read two of the subjects of the stream only."""
    prefix = settings.nats_subjects.removesuffix(".>")
    return settings.model_copy(update={"nats_subjects": f"{prefix}.x, {prefix}.y"})


@asynccontextmanager
async def reading_beside_others(settings: Settings, pacing: Pacing = DEFAULT_PACING) -> AsyncIterator[Reader]:
    """Yield a reader of a part of the stream, which has begun."""
    async with reading(settings) as maker:
        await maker.begin()
    async with reading(part_of(settings), pacing) as reader:
        await reader.begin()
        yield reader


async def publish_between_others(settings: Settings, count: int) -> None:
    """Publish so many frames, each behind a message on a subject that is not read."""
    for number in range(1, count + 1):
        await publish(settings, 1, subject="other")
        await publish(settings, 1, first=number)


async def test_messages_on_other_subjects_of_the_stream_are_no_loss(settings):
    async with reading_beside_others(settings, Pacing(check_s=0.1)) as reader:
        await publish_between_others(settings, 20)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: len(reader.frames) == 20 and reader.has_compared)
        assert reader.frames == [(2 * number, b"%d" % number) for number in range(1, 21)]
        assert reader.lost == 0


async def test_in_a_shared_stream_forgotten_messages_of_others_count_as_well(settings):
    """What is forgotten while it is read can't be told from frames of ours."""

    async with reading_beside_others(settings, Pacing(batch=10, check_s=0.1)) as reader:
        await publish_between_others(settings, 30)
        await read_ten_then_forget(reader, keep=10)
        await reader.until(lambda: len(reader.frames) == 15 and reader.has_compared)
        assert [raw for _, raw in reader.frames] == [b"%d" % number for number in (*range(1, 11), *range(26, 31))]
        assert reader.lost == 30, "15 frames and 15 messages of others"


async def test_close_reads_the_whole_stream_even_if_its_last_frames_are_not_ours(settings):
    async with reading_beside_others(settings) as reader:
        await publish(settings, 500)
        await publish(settings, 5, first=501, subject="other")
        await reader.source.open(reader.deliver)
        await asyncio.wait_for(reader.source.close(), HANGS_S)
        assert reader.frames == numbered(1, 500)
