"""Frames from a real NATS server."""

import asyncio
import os
import signal

import nats

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.transport.flush import confirm_published
from tests.support.core_source import listening, until
from tests.support.service import publish
from tests.support.waiting import HANGS_S


def numbered(subject: str, count: int) -> list[tuple[str, bytes]]:
    return [(subject, str(number).encode()) for number in range(count)]


async def test_frames_of_all_subjects_arrive_whole_and_in_publishing_order(nats_url, namespace):
    frames = [(f"{namespace}.{'ab'[number % 2]}.{number % 7}", b"%d\x00\xff" % number) for number in range(3_000)]

    async with listening(nats_url, f"{namespace}.a.>, {namespace}.b.>") as listener:
        await publish(nats_url, *frames)
        await until(lambda: len(listener.frames) == len(frames))
        assert listener.frames == frames


async def test_close_delivers_all_that_the_server_had_and_nothing_after_it(nats_url, namespace):
    frames = [(f"{namespace}.{'abc'[number % 3]}", str(number).encode()) for number in range(20_000)]

    async with listening(nats_url, f"{namespace}.a, {namespace}.b, {namespace}.c") as listener:
        feed = await nats.connect(nats_url)
        for frame in frames:
            await feed.publish(*frame)
        await confirm_published(feed)
        await listener.source.close()
        assert listener.frames == frames
        for letter in "abc":
            await feed.publish(f"{namespace}.{letter}", b"late")
        await confirm_published(feed)
        await listener.nats.client.flush()
        assert len(listener.frames) == len(frames)
        await feed.close()


async def test_frames_of_all_subjects_arrive_in_order_after_a_reconnect(nats_url, namespace):
    frames = [(f"{namespace}.{'ab'[number % 2]}", b"%d" % number) for number in range(3_000)]

    async with listening(nats_url, f"{namespace}.a, {namespace}.b") as listener:
        await listener.nats.client.force_reconnect()
        await until(lambda: listener.nats.client.stats["reconnects"] == 1 and listener.nats.client.is_connected)
        await listener.nats.client.flush()
        await publish(nats_url, *frames)
        await until(lambda: len(listener.frames) == len(frames))
        assert listener.frames == frames


async def test_close_without_a_server_delivers_what_had_arrived(namespace):
    with Instance("source") as instance:
        process, url = start_nats(instance)
        async with listening(url, f"{namespace}.>") as listener:
            client = listener.nats.client
            before = client.stats["in_msgs"]
            await publish(url, *numbered(f"{namespace}.x", 20_000))
            await until(lambda: client.stats["in_msgs"] > before)
            os.kill(process.pid, signal.SIGKILL)
            process.wanted = False
            await until(lambda: not client.is_connected)
            await asyncio.wait_for(listener.source.close(), HANGS_S)
            assert len(listener.frames) == client.stats["in_msgs"] - before


async def test_messages_dropped_from_a_full_queue_are_counted_one_by_one(nats_url, namespace):
    received = []

    async def take(message):
        received.append(message)

    async with listening(nats_url, f"{namespace}.frames") as listener:
        await listener.nats.client.subscribe(f"{namespace}.queued", cb=take, pending_bytes_limit=100)
        await publish(nats_url, *numbered(f"{namespace}.queued", 5_000))
        await until(lambda: len(received) + listener.slow == 5_000)
        assert listener.slow > 0


async def test_a_frame_that_cannot_be_taken_does_not_end_the_reading(nats_url, namespace):
    frames = numbered(f"{namespace}.x", 3)

    async with listening(nats_url, f"{namespace}.>", fails_on=b"1") as listener:
        await publish(nats_url, *frames)
        await until(lambda: len(listener.frames) == 2)
        assert listener.frames == [frames[0], frames[2]]


async def test_frames_come_with_their_headers(nats_url, namespace):
    async with listening(nats_url, f"{namespace}.>") as listener:
        feed = await nats.connect(nats_url)
        await feed.publish(f"{namespace}.x", b"1", headers={"traceparent": "a:b", "other": ""})
        await feed.publish(f"{namespace}.x", b"2")
        await until(lambda: len(listener.frames) == 2)
        assert listener.headers == [{"traceparent": "a:b", "other": ""}, None]
        await feed.close()
