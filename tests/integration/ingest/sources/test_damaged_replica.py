"""Three servers with a replica each of a stream, one of which was damaged while it was down."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error
from nats.js.api import StreamInfo

from compose.local.processes import Instance
from ingest.monitoring.frame_stream import FrameStream
from tasks.settings import Settings
from tests.support.servers.nats_cluster import cluster
from tests.support.streaming import LOOK_S, numbered, reading
from tests.support.waiting import HANGS_S

STORED, LATER = 100, 20

Damage = Callable[[Path], None]


class Replicas:
    """The servers, by their names."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        started = cluster(instance)
        self._servers = {server.name: server for server, _ in started}
        self._urls = {server.name: url for server, url in started}
        self.settings = Settings(
            nats_url=",".join(self._urls.values()),
            nats_subjects="frames.>",
            ingest_source="jetstream",
            ingest_start="first",
            ingest_stream_max_bytes=2**26,
            ingest_stream_replicas=3,
        )

    async def make(self) -> None:
        """Make the stream."""

        async def made() -> bool:
            async with reading(self.settings) as maker:
                await maker.begin()
            return True

        await until(made)

    async def publish(self, first: int, count: int) -> None:
        """Store frames, each once."""
        async with self._client() as client:
            for number in range(first, first + count):

                async def stored(number: int = number) -> bool:
                    headers = {"Nats-Msg-Id": str(number)}
                    await client.jetstream().publish("frames.x", b"%d" % number, timeout=1, headers=headers)
                    return True

                await until(stored)

    async def choose(self, *, leads: bool) -> str:
        """Return the name of the server that leads the stream, or of another one, once all have all of it."""
        await until(self._is_whole)
        leader = await self._leader()
        return leader if leads else next(name for name in self._servers if name != leader)

    def stop(self, name: str) -> None:
        self._instance.stop(self._servers[name])

    def start(self, name: str) -> None:
        self._instance.start_again(self._servers[name])

    def messages(self, name: str) -> Path:
        """Return the folder of the messages that a server has."""
        [folder] = (self._instance.directory / name).rglob("streams/FRAMES/msgs")
        return folder

    async def wait_until_whole(self) -> None:
        """Wait until all have all of the stream, as far as they know."""
        await until(self._is_whole)

    async def _is_whole(self) -> bool:
        about = await self._about()
        replicas: Any = about.cluster.replicas if about.cluster else None
        return len(replicas or []) == 2 and all(each.current and not each.offline for each in replicas)

    async def _leader(self) -> str:
        about = await self._about()
        return (about.cluster.leader or "") if about.cluster else ""

    async def _about(self) -> StreamInfo:
        async with self._client() as client:
            about: StreamInfo = await client.jetstream().stream_info("FRAMES")
            return about

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        client = await nats.connect([*self._urls.values()], connect_timeout=1, max_reconnect_attempts=3)
        try:
            yield client
        finally:
            await client.close()


async def until(condition: Callable[[], Any]) -> None:
    """Wait until a condition is true; NATS's errors mean that it is not."""
    async with asyncio.timeout(HANGS_S):
        while True:
            with suppress(Error, OSError, TimeoutError):
                if await condition():
                    return
            await asyncio.sleep(5 * LOOK_S)


def cut(messages: Path) -> None:
    file = messages / "1.blk"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2 + 7])


def flip(messages: Path) -> None:
    file = messages / "1.blk"
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 4
    file.write_bytes(held)


def flip_without_index(messages: Path) -> None:
    flip(messages)
    (messages / "index.db").unlink(missing_ok=True)


def empty(messages: Path) -> None:
    for file in messages.iterdir():
        file.write_bytes(b"")


async def served_by(replicas: Replicas, count: int) -> str:
    """Read all frames through one more consumer, each once and in order; return which server that is on."""
    async with reading(replicas.settings) as reader:
        await reader.begin(0)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: reader.frames and reader.frames[-1][0] >= count)
        assert (reader.frames, reader.lost) == (numbered(1, count), 0)
        about = await reader.consumer.about()
        return (about.cluster.leader or "") if about.cluster else ""


@asynccontextmanager
async def damaged(damage: Damage, *, leads: bool) -> AsyncIterator[tuple[Replicas, str]]:
    """Yield servers, one of which was damaged while it was down and more frames came, and the name of that one."""
    with Instance("replicas") as instance:
        replicas = Replicas(instance)
        await replicas.make()
        await replicas.publish(1, STORED)
        victim = await replicas.choose(leads=leads)
        replicas.stop(victim)
        damage(replicas.messages(victim))
        await replicas.publish(STORED + 1, LATER)
        replicas.start(victim)
        yield replicas, victim


async def read_from(replicas: Replicas, server: str) -> None:
    """Read through one consumer after the other until one is on this server: the servers choose."""
    for _ in range(30):
        if await served_by(replicas, STORED + LATER) == server:
            return
    pytest.fail(f"{server} served no consumer")


@pytest.mark.slow
@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
@pytest.mark.parametrize("damage", [cut, flip_without_index, empty])
async def test_a_damaged_replica_is_filled_by_the_others_and_gives_all(damage: Damage, *, leads: bool):
    async with damaged(damage, leads=leads) as (replicas, victim):
        await replicas.wait_until_whole()
        await read_from(replicas, victim)


@pytest.mark.ci
async def test_a_server_that_hangs_over_damaged_files_is_named_and_not_needed():
    """nats-server 2.15.1 does, where the index is whole and a message in the middle is not."""
    async with damaged(flip, leads=False) as (replicas, victim):
        assert await served_by(replicas, STORED + LATER) != victim
        async with reading(replicas.settings) as reader:
            stream = FrameStream(replicas.settings, reader.nats.client)

            async def named() -> bool:
                await stream.ask()
                return any(
                    found.name == "stream_replica_away" and f"no replica on {victim}:" in found.says
                    for found in stream.findings()
                )

            async def well() -> bool:
                return not await named()

            await until(named)
            replicas.stop(victim)
            shutil.rmtree(replicas.messages(victim).parent)
            replicas.start(victim)
            await replicas.wait_until_whole()
            await until(well)
        await read_from(replicas, victim)
