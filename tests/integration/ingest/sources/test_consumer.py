"""The consumer that a stream is read through, on a real server: lost, silent, or not told about, another reads on."""

import math
import time

import pytest
from nats.js.api import ConsumerInfo
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.sources.consumer import ASKED_BYTES, StreamConsumer
from ingest.sources.pull import Pacing
from tasks.clients.nats_client import NatsClient
from tasks.settings import Settings
from tests.support.streaming import Reader, numbered, opened, publish, reading, settings_of_a_stream
from tests.support.waiting import HANGS_S


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


async def test_while_no_request_is_answered_consumers_are_opened_with_pauses(settings):
    pacing, made_s = Pacing(pause_s=0.3), list[float]()

    class Unanswered(StreamConsumer):
        """Asks where nobody listens, but the fourth one."""

        def __init__(self, client: NatsClient, stream: str) -> None:
            super().__init__(client, stream)
            made_s.append(time.monotonic())

        async def request(self, count: int) -> None:
            if len(made_s) > 3:
                await super().request(count)
            else:
                await self._client.publish("nobody.listens", b"", self._inbox)

    async with reading(settings, pacing, Unanswered) as reader:
        await reader.begin()
        await publish(settings, 10)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: len(reader.frames) == 10)
        assert made_s[3] - made_s[0] > 3 * pacing.pause_s
        assert reader.frames == numbered(1, 10)


@pytest.mark.parametrize("error", [NotFoundError, ServerError, ServiceUnavailableError, APIError])
async def test_a_consumer_that_the_server_can_not_tell_about_is_replaced(settings, error: type[APIError]):
    made: list[StreamConsumer] = []

    class Offline(StreamConsumer):
        """The first one is never told about."""

        async def about(self) -> ConsumerInfo:
            if self is made[0]:
                raise error(code=500, description="consumer is offline")
            return await super().about()

    def make(client: NatsClient, stream: str) -> StreamConsumer:
        made.append(Offline(client, stream))
        return made[-1]

    async with opened(settings, 5, Pacing(check_s=0.1), make) as reader:
        await reader.until(lambda: len(reader.frames) == 5)
        await reader.until(lambda: reader.consumer is not made[0])
        await publish(settings, 5, first=6)
        await reader.until(lambda: len(reader.frames) == 10)
        assert reader.frames == numbered(1, 10)


async def test_a_request_that_reached_its_limit_of_bytes_is_followed_at_once(settings):
    async with opened(settings, 1, Pacing(pause_s=math.inf)) as reader:
        context, large = reader.nats.client.jetstream(), bytes(1_000_000)
        count = 2 * ASKED_BYTES // len(large)
        for _ in range(count):
            await context.publish(f"{settings.ingest_stream}.x", large, timeout=HANGS_S)
        # It is read from the start again, so that one request meets them all.
        await reader.begin()
        await reader.until(lambda: reader.frames and reader.frames[-1][0] == count + 1)
        assert [seq for seq, _ in reader.frames[-count - 1 :]] == list(range(1, count + 2))


async def test_a_message_above_the_usual_request_limit_does_not_block_later_ones():
    with Instance("large") as instance:
        file = instance.directory / "large.conf"
        file.write_text("max_payload: 16777216")
        _, url = start_nats(instance, options=("--config", str(file)))
        own = settings_of_a_stream(url, "large")
        async with opened(own, 1) as reader:
            await reader.nats.client.jetstream().publish("large.x", bytes(ASKED_BYTES + 1), timeout=HANGS_S)
            await publish(own, 1, first=3)
            await reader.until(lambda: len(reader.frames) == 3)
            assert [len(raw) for _, raw in reader.frames] == [1, ASKED_BYTES + 1, 1]
