"""What a feed could not put into a stream is told, and does not hold up what it can."""

import asyncio
from contextlib import suppress

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.errors import ServiceUnavailableError

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.feeds.publisher import CorePublisher
from ingest.feeds.stream_publisher import OUTAGE_LIMITS, WAITING, InFlightLimits, StreamPublisher
from tasks.errors import NotStoredError, SettingsError
from tasks.settings import Settings
from tests.support.feeds import listening, until
from tests.support.servers.proxy import Proxy
from tests.support.stream_publishing import QUICK, made, numbers, publishing, put, server, stored, suspend, to_stream


async def test_what_could_not_be_stored_is_told_at_the_end(tmp_path):
    with server(tmp_path) as (_, process, url):
        settings = to_stream(url)
        async with made(settings), publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(10))
            await publisher.settle()
            suspend(process)
            await put(publisher, numbers(7))
            await until(lambda: publisher.unstored == "nothing was confirmed for 0.3 s", "the trouble")
            # However long it would take, a feed that is told to end does not wait endlessly.
            closing = asyncio.create_task(publisher.close())
            await until(closing.done, "the end")
        with pytest.raises(NotStoredError, match=r"7 frames are not known to be stored"):
            publisher.verify()


async def test_a_frame_that_the_stream_never_takes_ends_the_feed(tmp_path):
    with server(tmp_path) as (_, _, url):
        settings = to_stream(url)
        async with made(settings, max_msg_size=100), publishing(settings, QUICK) as publisher:
            await put(publisher, [b"x" * 200])
            with pytest.raises(NotStoredError, match="message size exceeds maximum allowed"):
                await publisher.settle()


async def test_a_full_stream_is_waited_for(tmp_path):
    with server(tmp_path) as (_, _, url):
        settings = to_stream(url)
        async with made(settings, max_msgs=5, discard="new") as client, publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(10))
            await until(lambda: not publisher._flows and publisher.published == 5, "a refusal")
            assert "maximum messages exceeded" in publisher.unstored
            await client.jetstream().purge_stream(settings.ingest_stream)
            await publisher.settle()
            assert publisher.unstored == ""
        assert await stored(settings) == numbers(5, first=6)


async def fill(jetstream: JetStreamContext, stream: str) -> None:
    """Make another stream, which takes all that there is room for."""
    await jetstream.add_stream(name=stream, subjects=[stream])
    with suppress(ServiceUnavailableError):
        while True:
            await jetstream.publish(stream, b"x" * 100_000)


async def test_a_server_whose_jetstream_is_full_is_waited_for(tmp_path):
    """Another stream has taken all that `max_file_store` leaves."""
    configuration = tmp_path / "nats.conf"
    configuration.write_text("jetstream { max_file_store: 4M }\n")
    with Instance("nats", tmp_path) as instance:
        _, url = start_nats(instance, options=("--config", str(configuration)))
        settings = to_stream(url).model_copy(update={"ingest_stream_max_bytes": 2**20})
        async with made(settings) as client, publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(5))
            await publisher.settle()
            await fill(client.jetstream(), "OTHER")
            await put(publisher, numbers(5, first=6))
            await until(lambda: publisher.unstored == "insufficient resources", "a refusal")
            await client.jetstream().purge_stream("OTHER")
            await publisher.settle()
            assert publisher.unstored == ""
        assert await stored(settings) == numbers(10)


async def test_live_frames_are_held_while_the_stream_takes_none_then_dropped(tmp_path):
    assert WAITING < OUTAGE_LIMITS
    with server(tmp_path) as (_, _, url):
        settings = to_stream(url)
        async with publishing(settings, QUICK, InFlightLimits(10, 2**20)) as publisher:
            await publisher.publish("btcusdt@trade", b"1")
            await until(lambda: not publisher._flows, "a refusal")
            for number in numbers(12, first=2):
                await publisher.publish("btcusdt@trade", number)
            async with made(settings):
                await publisher.settle()
        assert await stored(settings) == numbers(10)
        with pytest.raises(NotStoredError, match="3 live frames were dropped"):
            publisher.verify()


@pytest.mark.parametrize("kind", [CorePublisher, StreamPublisher])
async def test_a_frame_that_nats_never_takes_is_one_error(nats_url, kind):
    publisher = kind(Settings(nats_url=nats_url))
    await publisher.open()
    with pytest.raises(NotStoredError, match="NATS takes 1048576 at most"):
        await publisher.put("btcusdt@trade", b"x" * (2**20 + 1))
    with pytest.raises(NotStoredError, match="no NATS subject"):
        await publisher.put("btcusdt trade", b"x")
    await publisher.close()


async def test_a_login_that_may_not_read_the_answers_is_told(tmp_path):
    configuration = tmp_path / "nats.conf"
    configuration.write_text(
        'authorization { users: [{user: us, password: us, permissions: {publish: ">", subscribe: {deny: "_INBOX.>"}}}] }\n'
    )

    with Instance("nats", tmp_path) as instance:
        _, url = start_nats(instance, options=("--config", str(configuration)))
        settings = Settings(nats_url=url, nats_user="us", nats_password="us")  # noqa: S106 of a server that ends with the test
        async with publishing(settings, QUICK) as publisher:
            with pytest.raises(SettingsError, match="read _INBOX"):
                await put(publisher, numbers(WAITING.frames + 1))


async def test_what_a_lost_connection_left_unwritten_is_not_written_to_the_next(nats_url, namespace):
    with Proxy(int(nats_url.rpartition(":")[2])) as proxy:
        publisher = CorePublisher(Settings(nats_url=f"nats://127.0.0.1:{proxy.port}"))
        client = publisher.client
        async with listening(nats_url, "binance.>") as listener:
            await publisher.open()
            # Given something that is not written yet when the connection goes.
            await publisher.offer(namespace, b"lost")
            await client._process_op_err(nats.errors.StaleConnectionError())
            await until(lambda: publisher.cuts == 1 and client.is_connected, "the next connection")
            await publisher.wait()
            await publisher.offer(namespace, b"next")
            await until(lambda: (f"binance.{namespace}", b"next") in listener.messages, "the next message")
            assert (f"binance.{namespace}", b"lost") not in listener.messages
        await publisher.close()
