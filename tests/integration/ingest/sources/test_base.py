"""Frames from a real NATS server."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import nats
import pytest
from nats.errors import FlushTimeoutError

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.connectivity import Connectivity
from ingest.service import Service
from ingest.sources.base import CoreSource, Nats
from ingest.transport.flush import confirm_published
from tasks.errors import ServerUnavailableError
from tasks.ledger.reader import LedgerReader
from tasks.settings import Settings, load
from tests.support.service import ingest, publish
from tests.support.waiting import HANGS_S, wait_for

TRADE = b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}'


class Listener:
    """A source, and what it delivered."""

    def __init__(self, url: str, subjects: str) -> None:
        self.parts = Connectivity({"nats": url})
        self.slow = 0
        self.frames: list[tuple[str, bytes]] = []
        self.nats = Nats(Settings(nats_url=url), self.parts, self._on_slow)
        self.source = CoreSource(self.nats, subjects)

    def _on_slow(self) -> None:
        self.slow += 1

    def deliver(self, subject: str, raw: bytes, *_: object) -> None:
        self.frames.append((subject, raw))


@asynccontextmanager
async def listening(url: str, subjects: str) -> AsyncIterator[Listener]:
    listener = Listener(url, subjects)
    await listener.nats.connect()
    await listener.source.open(listener.deliver)
    try:
        yield listener
    finally:
        await listener.nats.close()


async def until(condition: Callable[[], Any], timeout_s: float = 10) -> None:
    deadline_s = time.monotonic() + max(timeout_s, HANGS_S)
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        await asyncio.sleep(0.01)


def numbered(subject: str, count: int) -> list[tuple[str, bytes]]:
    return [(subject, str(number).encode()) for number in range(count)]


def test_frames_of_all_subjects_are_delivered_whole_and_in_the_order_of_their_publisher(nats_url, namespace):
    frames = [(f"{namespace}.{'ab'[number % 2]}.{number % 7}", b"%d\x00\xff" % number) for number in range(3_000)]

    async def run() -> None:
        async with listening(nats_url, f"{namespace}.a.>, {namespace}.b.>") as listener:
            await publish(nats_url, *frames)
            await until(lambda: len(listener.frames) == len(frames))
            assert listener.frames == frames

    asyncio.run(run())


def test_close_delivers_all_that_the_server_had_and_nothing_after_it(nats_url, namespace):
    frames = [(f"{namespace}.{'abc'[number % 3]}", str(number).encode()) for number in range(20_000)]

    async def run() -> None:
        async with listening(nats_url, f"{namespace}.a, {namespace}.b, {namespace}.c") as listener:
            feed = await nats.connect(nats_url)
            for frame in frames:
                await feed.publish(*frame)
            await confirm_published(feed)
            await listener.source.close()
            assert listener.frames == frames
            assert listener.source.pending == 0
            for letter in "abc":
                await feed.publish(f"{namespace}.{letter}", b"late")
            await confirm_published(feed)
            await listener.nats.client.flush()
            assert len(listener.frames) == len(frames)
            await feed.close()

    asyncio.run(run())


def test_frames_of_all_subjects_come_in_order_again_after_the_connection_was_lost(nats_url, namespace):
    frames = [(f"{namespace}.{'ab'[number % 2]}", b"%d" % number) for number in range(3_000)]

    async def run() -> None:
        async with listening(nats_url, f"{namespace}.a, {namespace}.b") as listener:
            await listener.nats.client.force_reconnect()
            await until(lambda: listener.nats.client.stats["reconnects"] == 1 and listener.nats.client.is_connected)
            await listener.nats.client.flush()
            await publish(nats_url, *frames)
            await until(lambda: len(listener.frames) == len(frames))
            assert listener.frames == frames

    asyncio.run(run())


def test_close_without_a_server_delivers_what_had_arrived(namespace):
    async def run(instance: Instance) -> None:
        process, url = start_nats(instance)
        async with listening(url, f"{namespace}.>") as listener:
            client = listener.nats.client
            before = client.stats["in_msgs"]
            await publish(url, *numbered(f"{namespace}.x", 20_000))
            await until(lambda: client.stats["in_msgs"] > before)
            os.kill(process.pid, signal.SIGKILL)
            process.wanted = False
            await until(lambda: not client.is_connected)
            await asyncio.wait_for(listener.source.close(), 15)
            assert len(listener.frames) == client.stats["in_msgs"] - before
            assert listener.source.pending == 0

    with Instance("source") as instance:
        asyncio.run(run(instance))


def test_frames_that_are_dropped_because_ingest_is_slow_are_counted_one_by_one(nats_url, namespace):
    async def run() -> None:
        async with listening(nats_url, f"{namespace}.a, {namespace}.b") as listener:
            for subscription in listener.source._subscriptions:
                subscription._pending_bytes_limit = 100
            await publish(nats_url, *((f"{namespace}.{'ab'[number % 2]}", b"%d" % number) for number in range(5_000)))
            await until(lambda: len(listener.frames) + listener.slow == 5_000)
            assert listener.slow > 0
            numbers = [int(raw) for _, raw in listener.frames]
            assert numbers == sorted(numbers)

    asyncio.run(run())


def test_a_restart_of_nats_is_survived_and_said_once_and_redis_is_not_blamed(redis_url, namespace):
    with Instance("source") as instance:
        process, url = start_nats(instance)
        port = int(url.rpartition(":")[2])
        with ingest(url, redis_url, namespace) as service:
            service.wait_ready()
            instance.stop(process)
            stopped_s = time.monotonic()
            wait_for(lambda: service.get("/ready")[0] == 503, 10, "ingest to miss NATS")
            assert service.get("/healthz")[0] == 200
            wait_for(lambda: time.monotonic() - stopped_s > 3, 5)
            start_nats(instance, "nats-again", port=port)
            service.wait_ready()
            outbox = LedgerReader(service.settings)

            def flows() -> bool:
                asyncio.run(publish(url, (f"{namespace}.x", TRADE % 1)))
                return outbox.counters().get("frames", 0) > 0

            wait_for(flows, 10, "frames")
            outbox.client.close()
            assert [line["part"] for line in service.logged("away: trying for ever")] == ["nats"]
            assert [line["part"] for line in service.logged("connected")] == ["redis", "nats", "nats"]


def test_a_connection_that_nats_closed_for_good_is_noticed_with_its_reason(nats_url, namespace):
    async def run() -> None:
        async with listening(nats_url, f"{namespace}.>") as listener:
            client = listener.nats.client
            assert listener.parts.all_up
            # The headers make it too large, which nats-py does not look at and the server does not forgive.
            await client.publish(f"{namespace}.x", b"x" * client.max_payload, headers={"a": "b"})
            with pytest.raises(ServerUnavailableError, match=r"for good.*maximum payload"):
                await asyncio.wait_for(listener.nats.watch(), 10)
            assert not listener.parts.all_up

    asyncio.run(run())


def test_a_nats_that_stops_answering_is_away_until_it_answers_again():
    with Instance("source") as instance:
        process, url = start_nats(instance)

        async def run() -> None:
            async with listening(url, "x.>") as listener:

                async def probed_until(up: bool, within_s: float) -> None:  # noqa: FBT001 the one thing that is waited for
                    async with asyncio.timeout(20):
                        while listener.parts.up["nats"] is not up:
                            await listener.nats.probe(within_s)

                await listener.nats.probe(10)
                assert listener.parts.up["nats"]
                process.send(signal.SIGSTOP)
                await probed_until(False, 0.3)  # noqa: FBT003 as above
                process.send(signal.SIGCONT)
                await probed_until(True, 10)  # noqa: FBT003 as above
                # The answers to the pings of before come now, and disturb nothing.
                await listener.nats.probe(10)
                assert listener.parts.up["nats"]
                assert listener.nats.client.stats["reconnects"] == 0

        asyncio.run(run())


def test_ready_says_within_10_s_that_nats_does_not_answer(redis_url, namespace):
    with Instance("source") as instance:
        process, url = start_nats(instance)
        with ingest(url, redis_url, namespace) as service:
            service.wait_ready()
            process.send(signal.SIGSTOP)
            wait_for(lambda: service.get("/ready")[0] == 503, 10, "ingest to miss NATS")
            assert {"nats_away"} == {each["name"] for each in json.loads(service.get("/ready")[1])["findings"]} - {
                "no_workers",
                "",
            }
            process.send(signal.SIGCONT)
            wait_for(lambda: service.get("/ready")[0] == 200, 10, "ingest to hear from NATS")


def test_a_time_out_of_nats_is_not_taken_for_one_of_redis(nats_url, redis_url):
    service = Service(Settings(nats_url=nats_url, redis_url=redis_url))
    load.cache_clear()
    service._parts.back("redis")

    async def flush() -> None:
        raise FlushTimeoutError

    async def ask_redis() -> None:
        raise TimeoutError

    asyncio.run(service._with_redis(flush))
    assert service._parts.up["redis"]
    asyncio.run(service._with_redis(ask_redis))
    assert not service._parts.up["redis"]
