"""What a feed publishes into a stream is in it, each frame once and in order, whatever the server does meanwhile."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import nats
import psutil
import pytest
from nats.aio.client import Client

from compose.local.processes import Instance, Process
from compose.local.servers import start_nats
from compose.local.waiting import wait_for
from ingest import streams
from ingest.feeds import stream_publisher
from ingest.feeds.publisher import CorePublisher
from ingest.feeds.stream_publisher import SPARE, WAITING, Bounds, StreamPublisher, Timing
from tasks.errors import NotStoredError, SettingsError
from tasks.settings import Settings
from tests.feeds import listening, until
from tests.proxy import Proxy

#: Quick to notice, and quick to give up.
QUICK = Timing(confirmed_within_s=0.3, pause_s=0.02, settle_s=0.3, tick_s=0.05)


@contextmanager
def server(folder: Path) -> Iterator[tuple[Instance, Process, str]]:
    with Instance("nats", folder) as instance:
        process, url = start_nats(instance)
        yield instance, process, url


def killed(instance: Instance, process: Process) -> None:
    process.send(signal.SIGKILL)
    instance.kill(process)
    instance.start_again(process)


def suspend(process: Process) -> psutil.Process:
    """Stop it; it does nothing any more when this returns."""
    suspended = psutil.Process(process.pid)
    suspended.suspend()
    wait_for(lambda: suspended.status() == psutil.STATUS_STOPPED, 10, "the server to stop")
    return suspended


def to_stream(url: str, stream: str = "FRAMES") -> Settings:
    return Settings(nats_url=url, ingest_source="jetstream", ingest_stream=stream, ingest_stream_max_bytes=2**28)


@asynccontextmanager
async def made(settings: Settings, **options: Any) -> AsyncIterator[Client]:
    """Yield a client of a server on which the stream is."""
    client = await nats.connect(settings.nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    if options:
        await client.jetstream().add_stream(name=settings.ingest_stream, subjects=["binance.>"], **options)
    else:
        await streams.prepare(client, settings)
    try:
        yield client
    finally:
        await client.close()


async def stored(settings: Settings) -> list[bytes]:
    """Return what the stream holds."""
    async with await nats.connect(settings.nats_url) as client:
        context = client.jetstream()
        info = await context.stream_info(settings.ingest_stream)
        found: list[bytes] = []
        subscription = await client.subscribe(client.new_inbox(), pending_msgs_limit=-1, pending_bytes_limit=-1)
        await context.add_consumer(
            settings.ingest_stream, deliver_subject=subscription.subject, ack_policy="none", mem_storage=True
        )
        while len(found) < info.state.messages:
            found.append((await subscription.next_msg(10)).data)
        return found


@asynccontextmanager
async def publishing(settings: Settings, timing: Timing | None = None) -> AsyncIterator[StreamPublisher]:
    publisher = StreamPublisher(settings, timing or stream_publisher.TIMING)
    with publisher.client.refusals() as publisher.refused:
        await publisher.open()
        try:
            yield publisher
        finally:
            if not publisher.client.is_closed:
                await publisher.close()


def numbers(count: int, first: int = 1) -> list[bytes]:
    return [b"%d" % number for number in range(first, first + count)]


async def put(publisher: StreamPublisher, frames: list[bytes]) -> None:
    for frame in frames:
        await publisher.put("btcusdt@trade", frame)


def test_a_server_that_is_killed_at_full_speed_loses_and_repeats_nothing(tmp_path):
    async def main(instance: Instance, process: Process, url: str) -> None:
        settings = to_stream(url)
        async with made(settings), publishing(settings) as publisher:
            given = 0
            for kills in (1, 2):
                goal = publisher.published + 3_000
                while publisher.published < goal:
                    await put(publisher, numbers(500, first=given + 1))
                    given += 500
                killed(instance, process)
                assert publisher._window.held > 0, "frames were in flight"
                await until(lambda: publisher.cuts == kills, "the cut")  # noqa: B023 at once
            await publisher.settle()
            publisher.verify()
        assert await stored(settings) == numbers(given)

    with server(tmp_path) as (instance, process, url):
        asyncio.run(main(instance, process, url))


def test_frames_whose_confirmation_was_lost_are_stored_once(tmp_path):
    async def main(process: Process, url: str) -> None:
        with Proxy(int(url.rpartition(":")[2])) as proxy:
            settings = to_stream(f"nats://127.0.0.1:{proxy.port}")
            direct = to_stream(url)
            async with made(direct) as client, publishing(settings) as publisher:
                await put(publisher, numbers(1))
                await publisher.settle()
                # What the server says comes so late that the connection is gone by then.
                proxy.latency_s = 0.5
                await put(publisher, numbers(500, first=2))
                await until_messages(client, direct, 501)
                assert publisher.published == 1
                proxy.latency_s = 0
                proxy.cut()
                await put(publisher, numbers(500, first=502))
                await publisher.settle()
                publisher.verify()
            assert await stored(direct) == numbers(1_001)

    with server(tmp_path) as (_, process, url):
        asyncio.run(main(process, url))


async def until_messages(client: Client, settings: Settings, count: int) -> None:
    while (await client.jetstream().stream_info(settings.ingest_stream)).state.messages < count:
        await asyncio.sleep(0.01)


def test_a_second_run_with_the_same_frames_is_no_repeat(tmp_path):
    async def main(url: str) -> None:
        settings = to_stream(url)
        async with made(settings):
            for _ in range(2):
                async with publishing(settings) as publisher:
                    await put(publisher, numbers(10))
                    await publisher.settle()
        assert await stored(settings) == [*numbers(10), *numbers(10)]

    with server(tmp_path) as (_, _, url):
        asyncio.run(main(url))


def test_frames_wait_until_there_is_a_stream_and_are_in_order(tmp_path):
    async def main(url: str) -> None:
        settings = to_stream(url)
        async with publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(100))
            await until(lambda: not publisher._flows, "a refusal")
            assert publisher._why == "no stream takes it"
            async with made(settings):
                await publisher.settle()
                publisher.verify()
        assert await stored(settings) == numbers(100)

    with server(tmp_path) as (_, _, url):
        asyncio.run(main(url))


def test_a_server_that_hangs_gets_what_it_did_not_confirm_again(tmp_path):
    async def main(process: Process, url: str) -> None:
        settings = to_stream(url)
        async with made(settings), publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(10))
            await publisher.settle()
            suspended = suspend(process)
            await put(publisher, numbers(10, first=11))
            await until(lambda: not publisher._flows, "nothing confirmed")
            suspended.resume()
            await publisher.settle()
            publisher.verify()
        assert await stored(settings) == numbers(20)

    with server(tmp_path) as (_, process, url):
        asyncio.run(main(process, url))


def test_what_could_not_be_stored_is_told_at_the_end(tmp_path):
    async def main(process: Process, url: str) -> None:
        settings = to_stream(url)
        async with made(settings), publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(10))
            await publisher.settle()
            suspend(process)
            await put(publisher, numbers(7))
            # However long it would take, a feed that is told to end does not wait for ever.
            closing = asyncio.create_task(publisher.close())
            await until(closing.done, "the end")
        with pytest.raises(NotStoredError, match=r"7 frames are not known to be stored"):
            publisher.verify()

    with server(tmp_path) as (_, process, url):
        asyncio.run(main(process, url))


def test_a_frame_that_the_stream_never_takes_ends_the_feed(tmp_path):
    async def main(url: str) -> None:
        settings = to_stream(url)
        async with made(settings, max_msg_size=100), publishing(settings, QUICK) as publisher:
            await put(publisher, [b"x" * 200])
            with pytest.raises(NotStoredError, match="message size exceeds maximum allowed"):
                await publisher.settle()

    with server(tmp_path) as (_, _, url):
        asyncio.run(main(url))


def test_a_full_stream_is_waited_for(tmp_path):
    async def main(url: str) -> None:
        settings = to_stream(url)
        async with made(settings, max_msgs=5, discard="new") as client, publishing(settings, QUICK) as publisher:
            await put(publisher, numbers(10))
            await until(lambda: not publisher._flows and publisher.published == 5, "a refusal")
            assert "maximum messages exceeded" in publisher._why
            await client.jetstream().purge_stream(settings.ingest_stream)
            await publisher.settle()
        assert await stored(settings) == numbers(5, first=6)

    with server(tmp_path) as (_, _, url):
        asyncio.run(main(url))


def test_live_frames_are_held_while_the_stream_takes_none_then_dropped(tmp_path, monkeypatch):
    async def main(url: str) -> None:
        settings = to_stream(url)
        async with publishing(settings, QUICK) as publisher:
            await publisher.publish("btcusdt@trade", b"1")
            await until(lambda: not publisher._flows, "a refusal")
            for number in numbers(12, first=2):
                await publisher.publish("btcusdt@trade", number)
            async with made(settings):
                await publisher.settle()
        assert await stored(settings) == numbers(10)
        with pytest.raises(NotStoredError, match="3 live frames were dropped"):
            publisher.verify()

    assert WAITING < SPARE
    monkeypatch.setattr(stream_publisher, "SPARE", Bounds(10, 2**20))
    with server(tmp_path) as (_, _, url):
        asyncio.run(main(url))


@pytest.mark.parametrize("kind", [CorePublisher, StreamPublisher])
def test_a_frame_that_nats_never_takes_is_one_error(nats_url, kind):
    async def main() -> None:
        publisher = kind(Settings(nats_url=nats_url))
        await publisher.open()
        with pytest.raises(NotStoredError, match="NATS takes 1048576 at most"):
            await publisher.put("btcusdt@trade", b"x" * (2**20 + 1))
        with pytest.raises(NotStoredError, match="no NATS subject"):
            await publisher.put("btcusdt trade", b"x")
        await publisher.close()

    asyncio.run(main())


def test_a_login_that_may_not_read_the_answers_is_told(tmp_path):
    configuration = tmp_path / "nats.conf"
    configuration.write_text(
        'authorization { users: [{user: us, password: us, permissions: {publish: ">", subscribe: {deny: "_INBOX.>"}}}] }\n'
    )

    async def main(url: str) -> None:
        settings = Settings(nats_url=url, nats_user="us", nats_password="us")  # noqa: S106 of a server that ends with the test
        async with publishing(settings, QUICK) as publisher:
            with pytest.raises(SettingsError, match="read _INBOX"):
                await put(publisher, numbers(WAITING.frames + 1))

    with Instance("nats", tmp_path) as instance:
        _, url = start_nats(instance, options=("--config", str(configuration)))
        asyncio.run(main(url))


def test_what_a_lost_connection_left_unwritten_is_not_written_to_the_next(nats_url, namespace):
    async def main() -> None:
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

    asyncio.run(main())
