"""Shards that read their own partitions of a stream: what is not theirs neither comes nor holds them back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from nats.js.api import ConsumerInfo

from ingest.sources.consumer import StreamConsumer
from ingest.sources.pull import Pacing
from ingest.sources.resume import LastFrame, StoredOffsets
from tasks.errors import SettingsError
from tasks.events import Position
from tasks.settings import Settings
from tests.support.streaming import Reader, publish, reading, settings_of_a_stream

QUICK = Pacing(check_s=0.1)


@pytest.fixture
def settings(nats_url: str, namespace: str) -> Settings:
    return settings_of_a_stream(nats_url, namespace).model_copy(update={"nats_partitions": 4})


@asynccontextmanager
async def shard(settings: Settings, *numbers: int) -> AsyncIterator[Reader]:
    """Yield a reader of some partitions, of which nothing is open yet."""
    async with reading(settings, QUICK) as reader:
        reader.assign(settings.frame_subjects.of(numbers))
        yield reader


def seqs(reader: Reader) -> Sequence[int]:
    return [seq for seq, _ in reader.frames]


async def begun(reader: Reader, *known: Position) -> Position:
    await reader.source.prepare()
    start = await reader.source.begin(StoredOffsets(known), None)
    reader.source.resume(start)
    await reader.source.open(reader.deliver)
    return start


async def send(settings: Settings, *partitions: int) -> None:
    for number in partitions:
        await publish(settings, 1, subject=f"{number}.x")


async def test_a_shard_gets_its_partitions_frames_with_the_streams_numbers(settings):
    async with shard(settings, 0, 2) as even, shard(settings, 1, 3) as odd:
        await even.source.prepare()
        await send(settings, 0, 1, 2, 3, 1, 0)
        for reader in (even, odd):
            await begun(reader)
        await even.until(lambda: len(even.frames) == 3)
        await odd.until(lambda: len(odd.frames) == 3)
        assert (seqs(even), seqs(odd)) == ([1, 3, 6], [2, 4, 5])
        assert (even.lost, odd.lost) == (0, 0)


async def test_a_shard_without_frames_goes_on_past_those_of_others(settings):
    async with shard(settings, 0) as idle, shard(settings, 1) as busy:
        start = await begun(idle)
        await begun(busy)
        await send(settings, 1, 1, 1)
        await busy.until(lambda: len(busy.frames) == 3)
        await idle.until(lambda: idle.passed == 3)
        read = idle.source.read
        assert read is not None
        assert (read.source, read.seq, idle.source.read_seq) == (start.source, 3, 3)
        # It is known by when it was stored, as if the shard had read it.
        assert (await idle.source.begin(StoredOffsets([Position(start.source, 3)]), None)).seq == 3
        await send(settings, 0, 1, 0)
        await idle.until(lambda: len(idle.frames) == 2)
        assert seqs(idle) == [4, 6]
        await idle.source.close()
        assert idle.source.left == 0


async def test_while_frames_of_ours_wait_nothing_is_passed(settings):
    checks = 0

    class CountedConsumer(StreamConsumer):
        async def about(self) -> ConsumerInfo:
            nonlocal checks
            checks += 1
            return await super().about()

    async with reading(settings, QUICK, CountedConsumer) as reader:
        reader.assign(settings.frame_subjects.of([0]))
        reader.room = 0
        await reader.source.prepare()
        await send(settings, 0, 1)
        await begun(reader)
        await reader.until(lambda: checks >= 4)
        assert (reader.passed, reader.frames) == (0, [])
        reader.room = 10
        await reader.until(lambda: reader.passed == 2)
        assert seqs(reader) == [1]


async def test_after_a_restart_a_passed_message_that_is_another_one_is_noticed(settings):
    async with shard(settings, 0) as reader:
        start = await begun(reader)
        await send(settings, 1, 1, 1)
        await reader.until(lambda: reader.passed == 3)
        read = reader.source.read
        assert read is not None
    # The stream lost its end, and gave the numbers to frames that were stored later.
    forged = LastFrame(read.source, read.seq, read.stored_at_ns - 10**9)
    async with shard(settings, 0) as reader:
        await reader.source.prepare()
        stored = StoredOffsets([Position(start.source, 3)], [Position(start.source, 3)], [forged])
        assert (await reader.source.begin(stored, None)).source == f"{start.source}.1"


@pytest.mark.parametrize("subject", ["x", "4.x", "kraken.trade.x"])
async def test_unread_frames_that_no_shard_would_read_end_the_start(settings, subject):
    async with shard(settings, 0) as reader:
        await reader.source.prepare()
        await publish(settings, 2, subject=subject)
        with pytest.raises(SettingsError) as refused:
            await begun(reader)
    name = f"{settings.ingest_stream}.{subject}"
    assert str(refused.value) == (
        f"the stream {settings.ingest_stream} holds frames on {name} that are not read, and with NATS_PARTITIONS 4 no "
        "shard reads them: read them under the setting with which they were published, or remove them: "
        f"nats stream purge {settings.ingest_stream} --subject '{name}'"
    )


async def test_frames_without_a_partition_that_were_read_before_do_not_matter(settings):
    async with shard(settings, 0) as reader:
        await reader.source.prepare()
        await publish(settings, 2, subject="x")
        await send(settings, 0)
        stream = reader.source._cursor.stream
        assert stream is not None
        await begun(reader, Position(stream.source, 2))
        await reader.until(lambda: reader.frames)
        assert seqs(reader) == [3]
