"""What a feed publishes into a stream on three servers is in it, each frame once, and what is out of its place is told."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from compose.local.processes import Instance, Process
from ingest.sources import stream_setup
from tasks.errors import NotStoredError, SettingsError
from tasks.settings import Settings
from tests.support.servers.nats_cluster import cluster
from tests.support.stream_publishing import numbers, publishing, put, stored, to_stream
from tests.support.waiting import HANGS_S

pytestmark = pytest.mark.ci


@asynccontextmanager
async def three(tmp_path: Path) -> AsyncIterator[tuple[Instance, list[Process], Settings, Client]]:
    """Yield what runs the servers, these, the settings of a feed that knows all of them, and a client."""
    with Instance("nats", tmp_path) as instance:
        servers = cluster(instance)
        settings = to_stream(",".join(url for _, url in servers)).model_copy(update={"ingest_stream_replicas": 3})
        client = await nats.connect(settings.nats_url.split(","), max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        try:
            await until_made(client, settings)
            yield instance, [process for process, _ in servers], settings, client
        finally:
            await client.close()


async def until_made(client: Client, settings: Settings) -> None:
    """Make the stream, once the servers have found each other."""
    async with asyncio.timeout(HANGS_S):
        while True:
            with suppress(NatsError, SettingsError):
                await stream_setup.prepare(client, settings)
                return
            await asyncio.sleep(0.1)


async def published_while(settings: Settings, disturbing: Awaitable[None]) -> tuple[list[int], bool]:
    """Publish until it is over; return the stored frames in the stream's order, and whether disorder was told."""
    given, told = 0, False
    async with publishing(settings) as publisher:
        task = asyncio.ensure_future(disturbing)
        while not task.done():
            await put(publisher, numbers(100, first=given + 1))
            given += 100
        await task
        await publisher.settle()
        try:
            publisher.verify()
        except NotStoredError as error:
            told = "not where they belong" in str(error)
    found = await numbers_stored(settings)
    assert sorted(found) == list(range(1, given + 1)), "each once"
    return found, told


async def numbers_stored(settings: Settings) -> list[int]:
    """Return what the stream holds, once its servers tell of it: they may be choosing a leader."""
    async with asyncio.timeout(HANGS_S):
        while True:
            with suppress(NatsError):
                return [int(each) for each in await stored(settings)]


async def until_published(client: Client, settings: Settings, more: int) -> None:
    """Wait until so many more frames are stored."""
    async with asyncio.timeout(HANGS_S):
        goal = await messages(client, settings) + more
        while await messages(client, settings) < goal:
            await asyncio.sleep(0.05)


async def until_led_by_nobody(client: Client, settings: Settings) -> None:
    """Wait until nobody can store: the one server that is left may go on telling of the stream."""
    async with asyncio.timeout(HANGS_S):
        with suppress(NatsError):
            while (told := (await client.jetstream().stream_info(settings.ingest_stream)).cluster) and told.leader:
                await asyncio.sleep(0.05)


async def messages(client: Client, settings: Settings) -> int:
    with suppress(NatsError):
        return (await client.jetstream().stream_info(settings.ingest_stream)).state.messages
    return 0


async def test_a_leader_that_steps_down_again_and_again_loses_nothing(tmp_path):
    async with three(tmp_path) as (_, _, settings, client):

        async def step_down() -> None:
            for _ in range(6):
                await until_published(client, settings, 500)
                with suppress(NatsError):
                    subject = f"$JS.API.STREAM.LEADER.STEPDOWN.{settings.ingest_stream}"
                    await client.request(subject, b"", timeout=2)

        found, told = await published_while(settings, step_down())
    # What was in flight as the leader changed may be stored behind what came after it.
    assert told or found == sorted(found)


async def test_a_server_in_lame_duck_mode_loses_and_repeats_nothing(tmp_path):
    async with three(tmp_path) as (_, processes, settings, client):

        async def retire() -> None:
            await until_published(client, settings, 1_000)
            processes[0].send(signal.SIGUSR2)
            await until_published(client, settings, 5_000)

        found, told = await published_while(settings, retire())
    assert told or found == sorted(found)


async def test_two_servers_that_die_and_come_back_lose_and_repeat_nothing(tmp_path):
    async with three(tmp_path) as (instance, processes, settings, client):

        async def die() -> None:
            await until_published(client, settings, 1_000)
            for process in processes[1:]:
                instance.kill(process)
            await until_led_by_nobody(client, settings)
            for process in processes[1:]:
                instance.start_again(process)
            await until_published(client, settings, 1_000)

        found, told = await published_while(settings, die())
    assert told or found == sorted(found)
