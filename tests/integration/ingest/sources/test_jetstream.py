"""Reading a real stream: in order, each frame once, also where connections, consumers or servers end."""

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.sources.consumer import StreamConsumer, Take
from ingest.sources.pull import Pacing
from ingest.sources.resume import StoredOffsets
from tasks.clients.nats_message import RawMessage, read_metadata
from tasks.errors import SettingsError
from tasks.events import Position
from tasks.settings import Settings
from tests.support.streaming import numbered, opened, publish, reading, settings_of_a_stream


@pytest.fixture
def settings(nats_url: str, namespace: str) -> Settings:
    return settings_of_a_stream(nats_url, namespace)


async def test_frames_come_once_in_order_with_the_streams_numbers_without_delay(settings):
    # Its requests end long after a wait would have failed.
    async with opened(settings, 2_500, make_consumer=partial(StreamConsumer, expires_s=3_600)) as reader:
        await reader.until(lambda: len(reader.frames) == 2_500)
        assert reader.frames == numbered(1, 2_500)
        await publish(settings, 1, first=2_501)
        await reader.until(lambda: len(reader.frames) == 2_501)
        assert reader.source.unread == 0


async def test_it_reads_again_from_any_place_and_ignores_earlier_requests(settings):
    async with opened(settings, 300) as reader:
        await reader.begin(after=100)
        reader.frames.clear()
        await reader.until(lambda: len(reader.frames) >= 200)
        assert reader.frames == numbered(101, 300)


async def test_told_to_read_from_elsewhere_while_opening_it_reads_from_there(settings):
    dice = random.Random(4)

    async with opened(settings, 400) as reader:
        start = await reader.source.begin(StoredOffsets(), None)
        for _ in range(30):
            looking = asyncio.create_task(reader.source.poll())
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            after = dice.randrange(300)
            reader.source.resume(Position(start.source, after))
            reader.frames.clear()
            await looking
        await reader.until(lambda: reader.frames and reader.frames[-1][0] == 400)
        assert reader.frames == numbered(after + 1, 400)
        left = await reader.nats.client.jetstream().consumers_info(settings.ingest_stream)
        assert len(left) == 1


async def test_nothing_is_requested_while_there_is_no_room_and_all_comes_later(settings):
    async with reading(settings, Pacing(batch=10)) as reader:
        reader.room = 5
        await reader.begin()
        await publish(settings, 100)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: len(reader.frames) >= 10)
        for _ in range(20):
            await reader.source.poll()
            await reader.nats.client.flush()
        assert len(reader.frames) == 10, "what had been asked for while there was room"
        reader.room = 10**9
        await reader.until(lambda: len(reader.frames) == 100)
        assert reader.frames == numbered(1, 100)


async def test_a_message_that_never_came_is_noticed_and_read_again(settings):
    lost: list[bytes] = []

    class Losing(StreamConsumer):
        """The last three messages get lost in transit, at first."""

        async def open(self, subjects: Sequence[str], after: int, take: Take) -> None:
            def take_most(consumer: StreamConsumer, message: RawMessage) -> None:
                if message.reply and read_metadata(message.reply).stream_seq > 20 and len(lost) < 3:
                    lost.append(message.data)
                else:
                    take(consumer, message)

            await super().open(subjects, after, take_most)

    async with opened(settings, 20, Pacing(check_s=0.3), Losing) as reader:
        await reader.until(lambda: len(reader.frames) == 20)
        await publish(settings, 3, first=21)
        await reader.until(lambda: len(reader.frames) == 23)
        assert reader.frames == numbered(1, 23)
        assert lost == [b"21", b"22", b"23"]


async def test_a_recreated_stream_asks_for_an_epoch_and_is_read_from_its_start(settings):
    async with opened(settings, 5) as reader:
        await reader.until(lambda: len(reader.frames) == 5)
        first = await reader.source.begin(StoredOffsets(), None)
        mine = Position(first.source, 5)
        await reader.nats.client.jetstream().delete_stream(settings.ingest_stream)
        await reader.until(lambda: reader.source.outdated)
        await publish(settings, 3)
        start = await reader.source.begin(StoredOffsets(), mine)
        assert start.source != mine.source
        reader.source.resume(start)
        await reader.until(lambda: len(reader.frames) == 8)
        assert reader.frames[5:] == numbered(1, 3)


async def test_a_server_without_jetstream_is_a_clear_error():
    with Instance("bare") as instance:
        _, url = start_nats(instance, jetstream=False)
        async with reading(Settings(nats_url=url, ingest_source="jetstream")) as reader:
            with pytest.raises(SettingsError, match="no JetStream"):
                await reader.source.prepare()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"name": "other", "subjects": ["{}.>"]}, "another stream has"),
        ({"name": "{}", "subjects": ["{}.y"]}, r"does not take .*: nats stream edit \S+ --subjects \"\S+\.y,\S+\""),
        ({"name": "{}", "subjects": ["{}.>"], "retention": "workqueue"}, "it is no log"),
    ],
)
async def test_a_stream_that_can_not_be_used_is_a_clear_error(settings, namespace, made: dict[str, Any], said: str):
    made = {
        key: [each.format(namespace) for each in value] if isinstance(value, list) else value.format(namespace)
        for key, value in made.items()
    }

    async with reading(settings) as reader:
        context = reader.nats.client.jetstream()
        await context.add_stream(**made)
        try:
            with pytest.raises(SettingsError, match=said):
                await reader.source.prepare()
        finally:
            await context.delete_stream(made["name"])
