"""Reading a real stream: in order, each frame once, also where connections, consumers or servers go away."""

import asyncio
import math
import random
import time
from typing import Any

import pytest
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest import consumer, jetstream
from ingest.consumer import Consumer
from ingest.origin import Stored
from tasks.errors import SettingsError
from tasks.events import Position
from tasks.nats_client import NatsClient
from tasks.settings import Settings
from tests.integration.streaming import Reader, numbered, opened, publish, reading, settings_of_a_stream


@pytest.fixture
def settings(nats_url: str, namespace: str) -> Settings:
    return settings_of_a_stream(nats_url, namespace)


def test_frames_come_in_order_each_once_with_the_streams_numbers_and_at_once_when_it_is_quiet(settings):
    async def run() -> None:
        async with opened(settings, 2_500) as reader:
            await reader.until(lambda: len(reader.frames) == 2_500)
            assert reader.frames == numbered(1, 2_500)
            sent_s = time.monotonic()
            await publish(settings, 1, first=2_501)
            await reader.until(lambda: len(reader.frames) == 2_501)
            assert time.monotonic() - sent_s < consumer.EXPIRES_S / 2, "not only once its request ends"
            assert reader.source.unread == 0

    asyncio.run(run())


def test_it_reads_again_from_any_place_and_what_was_asked_for_before_is_ignored(settings):
    async def run() -> None:
        async with opened(settings, 300) as reader:
            await reader.begin(after=100)
            reader.frames.clear()
            await reader.until(lambda: len(reader.frames) >= 200)
            assert reader.frames == numbered(101, 300)

    asyncio.run(run())


def test_told_to_read_from_elsewhere_in_the_middle_of_opening_it_reads_from_there(settings):
    dice = random.Random(4)

    async def run() -> None:
        async with opened(settings, 400) as reader:
            start = await reader.source.begin(Stored(), None)
            for _ in range(30):
                looking = asyncio.create_task(reader.source.look())
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

    asyncio.run(run())


def test_nothing_is_asked_for_while_there_is_no_room_and_all_of_it_comes_later(
    settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consumer, "ASKED", 10)

    async def run() -> None:
        async with reading(settings) as reader:
            reader.room = 5
            await reader.begin()
            await publish(settings, 100)
            await reader.source.open(reader.deliver)
            await reader.until(lambda: len(reader.frames) >= 10)
            for _ in range(20):
                await reader.source.look()
                await reader.nats.client.flush()
            assert len(reader.frames) == 10, "what had been asked for while there was room"
            reader.room = 10**9
            await reader.until(lambda: len(reader.frames) == 100)
            assert reader.frames == numbered(1, 100)

    asyncio.run(run())


async def delete_consumers(reader: Reader) -> None:
    """Have the server lose what is read through."""
    context, stream = reader.nats.client.jetstream(), reader.settings.ingest_stream
    for about in await context.consumers_info(stream):
        await context.delete_consumer(stream, about.name)


def test_a_consumer_that_the_server_lost_is_replaced_without_a_gap_or_a_repeat(
    settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(jetstream, "SILENCE_S", 1.5)

    async def run() -> None:
        async with opened(settings, 50) as reader:
            await reader.until(lambda: len(reader.frames) == 50)
            await delete_consumers(reader)
            await publish(settings, 50, first=51)
            await reader.until(lambda: len(reader.frames) == 100)
            assert reader.frames == numbered(1, 100)

    asyncio.run(run())


def test_a_request_that_nobody_answers_is_not_repeated_and_another_consumer_reads_on(
    settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(jetstream, "SILENCE_S", math.inf)  # it is not the silence that tells

    async def run() -> None:
        async with opened(settings, 50) as reader:
            await reader.until(lambda: len(reader.frames) == 50)
            client = reader.nats.client
            await delete_consumers(reader)
            sent = client.stats["out_msgs"]
            await reader.consumer.ask()
            for _ in range(50):
                await client.flush()
            assert client.stats["out_msgs"] == sent + 1
            await publish(settings, 50, first=51)
            await reader.until(lambda: len(reader.frames) == 100)
            assert reader.frames == numbered(1, 100)

    asyncio.run(run())


def test_while_no_request_is_answered_consumers_are_opened_now_and_then_only(settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jetstream, "PAUSE_S", 0.3)

    async def run() -> None:
        async with reading(settings) as reader:
            await reader.begin()
            await publish(settings, 10)
            with monkeypatch.context() as patched:
                patched.setattr(consumer, "NEXT", "nobody.listens")
                await reader.source.open(reader.deliver)
                started_s, tried = time.monotonic(), set[Consumer]()

                def count() -> int:
                    tried.add(reader.consumer)
                    return len(tried)

                await reader.until(lambda: count() == 4)
                assert time.monotonic() - started_s > 3 * jetstream.PAUSE_S
            await reader.until(lambda: len(reader.frames) == 10)
            assert reader.frames == numbered(1, 10)

    asyncio.run(run())


@pytest.mark.parametrize("error", [NotFoundError, ServerError, ServiceUnavailableError, APIError])
def test_a_consumer_that_the_server_can_not_tell_about_is_replaced(
    settings, monkeypatch: pytest.MonkeyPatch, error: type[APIError]
):
    monkeypatch.setattr(jetstream, "CHECK_S", 0.1)

    async def fail(_: Consumer) -> None:
        raise error(code=500, description="consumer is offline")

    async def run() -> None:
        async with opened(settings, 5) as reader:
            await reader.until(lambda: len(reader.frames) == 5)
            first = reader.consumer
            with monkeypatch.context() as patched:
                patched.setattr(Consumer, "about", fail)
                await reader.until(lambda: reader.consumer is not first)
            await publish(settings, 5, first=6)
            await reader.until(lambda: len(reader.frames) == 10)
            assert reader.frames == numbered(1, 10)

    asyncio.run(run())


def test_a_request_that_took_as_many_bytes_as_it_might_is_followed_by_another_at_once(
    settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(consumer, "ASKED_BYTES", 1_000)
    monkeypatch.setattr(consumer, "AROUND_BYTES", 0)
    monkeypatch.setattr(NatsClient, "max_payload", 0)
    monkeypatch.setattr(jetstream, "PAUSE_S", 60.0)

    async def run() -> None:
        async with opened(settings, 100) as reader:
            await reader.until(lambda: len(reader.frames) == 100)
            assert reader.frames == numbered(1, 100)

    asyncio.run(run())


def test_a_message_larger_than_a_request_usually_may_take_does_not_hold_up_those_after_it():
    with Instance("large") as instance:
        file = instance.directory / "large.conf"
        file.write_text("max_payload: 16777216")
        _, url = start_nats(instance, options=("--config", str(file)))
        own = settings_of_a_stream(url, "large")

        async def run() -> None:
            async with opened(own, 1) as reader:
                await reader.nats.client.jetstream().publish("large.x", bytes(consumer.ASKED_BYTES + 1), timeout=20)
                await publish(own, 1, first=3)
                await reader.until(lambda: len(reader.frames) == 3)
                assert [len(raw) for _, raw in reader.frames] == [1, consumer.ASKED_BYTES + 1, 1]

        asyncio.run(run())


def test_a_message_that_never_came_is_noticed_and_read_again(settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jetstream, "CHECK_S", 0.3)

    async def run() -> None:
        async with opened(settings, 20) as reader:
            await reader.until(lambda: len(reader.frames) == 20)
            # The last ones get lost on their way.
            swallowed = reader.source._on_message
            arrived: list[bytes] = []

            async def swallow(consumer: Consumer, message: Any) -> None:
                if not message.reply:
                    await swallowed(consumer, message)
                else:
                    arrived.append(message.data)

            monkeypatch.setattr(reader.source, "_on_message", swallow)
            await publish(settings, 3, first=21)
            await reader.until(lambda: len(arrived) == 3)
            monkeypatch.setattr(reader.source, "_on_message", swallowed)
            await reader.until(lambda: len(reader.frames) == 23)
            assert reader.frames == numbered(1, 23)

    asyncio.run(run())


def test_a_stream_that_was_created_anew_asks_for_a_new_epoch_and_is_read_from_its_first_frame(settings):
    async def run() -> None:
        async with opened(settings, 5) as reader:
            await reader.until(lambda: len(reader.frames) == 5)
            first = await reader.source.begin(Stored(), None)
            mine = Position(first.source, 5)
            await reader.nats.client.jetstream().delete_stream(settings.ingest_stream)
            await reader.until(lambda: reader.source.outdated)
            await publish(settings, 3)
            start = await reader.source.begin(Stored(), mine)
            assert start.source != mine.source
            reader.source.resume(start)
            await reader.until(lambda: len(reader.frames) == 8)
            assert reader.frames[5:] == numbered(1, 3)

    asyncio.run(run())


def test_a_server_without_jetstream_is_a_clear_error():
    with Instance("bare") as instance:
        _, url = start_nats(instance, jetstream=False)
        own = Settings(nats_url=url, ingest_source="jetstream")

        async def run() -> None:
            async with reading(own) as reader:
                with pytest.raises(SettingsError, match="no JetStream"):
                    await reader.source.prepare()

        asyncio.run(run())


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"name": "other", "subjects": ["{}.>"]}, "another stream has"),
        ({"name": "{}", "subjects": ["{}.y"]}, "does not take"),
        ({"name": "{}", "subjects": ["{}.>"], "retention": "workqueue"}, "it is no log"),
    ],
)
def test_a_stream_that_can_not_be_used_is_a_clear_error(settings, namespace, made: dict[str, Any], said: str):
    made = {
        key: [each.format(namespace) for each in value] if isinstance(value, list) else value.format(namespace)
        for key, value in made.items()
    }

    async def run() -> None:
        async with reading(settings) as reader:
            context = reader.nats.client.jetstream()
            await context.add_stream(**made)
            try:
                with pytest.raises(SettingsError, match=said):
                    await reader.source.prepare()
            finally:
                await context.delete_stream(made["name"])

    asyncio.run(run())
