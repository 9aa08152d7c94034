"""The consumer that a stream is read through, on a real server: lost, silent, or not told about, another reads on."""

import asyncio
import math
import time

import pytest
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.sources import consumer
from ingest.sources.consumer import Consumer
from ingest.sources.pull import Pacing
from tasks.clients.nats_client import NatsClient
from tasks.settings import Settings
from tests.support.streaming import Reader, numbered, opened, publish, reading, settings_of_a_stream


@pytest.fixture
def settings(nats_url: str, namespace: str) -> Settings:
    return settings_of_a_stream(nats_url, namespace)


async def delete_consumers(reader: Reader) -> None:
    """Have the server lose what is read through."""
    context, stream = reader.nats.client.jetstream(), reader.settings.ingest_stream
    for about in await context.consumers_info(stream):
        await context.delete_consumer(stream, about.name)


async def test_a_consumer_that_the_server_lost_is_replaced_without_gap_or_repeat(settings):
    async with opened(settings, 50, Pacing(silence_s=1.5)) as reader:
        await reader.until(lambda: len(reader.frames) == 50)
        await delete_consumers(reader)
        await publish(settings, 50, first=51)
        await reader.until(lambda: len(reader.frames) == 100)
        assert reader.frames == numbered(1, 100)


async def test_an_unanswered_request_is_not_repeated_and_reading_goes_on(settings):
    # It is not the silence that tells.
    async with opened(settings, 50, Pacing(silence_s=math.inf)) as reader:
        await reader.until(lambda: len(reader.frames) == 50)
        client = reader.nats.client
        await delete_consumers(reader)
        sent = client.stats["out_msgs"]
        await reader.consumer.request(1)
        for _ in range(50):
            await client.flush()
        assert client.stats["out_msgs"] == sent + 1
        await publish(settings, 50, first=51)
        await reader.until(lambda: len(reader.frames) == 100)
        assert reader.frames == numbered(1, 100)


async def test_while_no_request_is_answered_consumers_are_opened_with_pauses(settings, monkeypatch: pytest.MonkeyPatch):
    pacing = Pacing(pause_s=0.3)

    async with reading(settings, pacing) as reader:
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
            assert time.monotonic() - started_s > 3 * pacing.pause_s
        await reader.until(lambda: len(reader.frames) == 10)
        assert reader.frames == numbered(1, 10)


@pytest.mark.parametrize("error", [NotFoundError, ServerError, ServiceUnavailableError, APIError])
async def test_a_consumer_that_the_server_can_not_tell_about_is_replaced(
    settings, monkeypatch: pytest.MonkeyPatch, error: type[APIError]
):
    async def fail(_: Consumer) -> None:
        raise error(code=500, description="consumer is offline")

    async with opened(settings, 5, Pacing(check_s=0.1)) as reader:
        await reader.until(lambda: len(reader.frames) == 5)
        first = reader.consumer
        with monkeypatch.context() as patched:
            patched.setattr(Consumer, "about", fail)
            await reader.until(lambda: reader.consumer is not first)
        await publish(settings, 5, first=6)
        await reader.until(lambda: len(reader.frames) == 10)
        assert reader.frames == numbered(1, 10)


async def test_a_request_that_reached_its_limit_of_bytes_is_followed_at_once(settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consumer, "ASKED_BYTES", 1_000)
    monkeypatch.setattr(consumer, "AROUND_BYTES", 0)
    monkeypatch.setattr(NatsClient, "max_payload", 0)

    async with opened(settings, 100, Pacing(pause_s=60.0)) as reader:
        await reader.until(lambda: len(reader.frames) == 100)
        assert reader.frames == numbered(1, 100)


def test_a_message_above_the_usual_request_limit_does_not_block_later_ones():
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
