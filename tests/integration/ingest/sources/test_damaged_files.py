"""A server whose files were damaged while it was down: what is left comes once and in order, and reading goes on."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compose.local.processes import Instance, Process
from compose.local.servers import start_nats
from ingest.monitoring.frame_stream import FrameStream
from tasks.settings import Settings
from tests.support.streaming import LOOK_S, Reader, numbered, publish, reading
from tests.support.waiting import HANGS_S

STORED = 100
#: What the frames are called that come after the damage, so that they are told from those that had their numbers.
LATER = 1_001

Damage = Callable[[Path], None]


class Scene:
    """A server with a stream."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._server: Process
        self._server, url = start_nats(instance)
        self.settings = Settings(
            nats_url=url,
            nats_subjects="frames.>",
            ingest_source="jetstream",
            ingest_start="first",
            ingest_stream_max_bytes=2**26,
        )

    async def fill(self) -> None:
        async with reading(self.settings) as maker:
            await maker.begin()
        await publish(self.settings, STORED)

    def damage(self, damage: Damage) -> None:
        """Damage the stream's files while the server is down."""
        self._instance.stop(self._server)
        damage(next((self._instance.directory / "nats").rglob("msgs")))
        self._instance.start_again(self._server)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Instance("damaged") as instance:
        yield Scene(instance)


def cut(messages: Path) -> None:
    """Cut the messages' file in the middle of a message."""
    file = messages / "1.blk"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2 + 7])


def flip(file: Path) -> None:
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 4
    file.write_bytes(held)


def flip_message(messages: Path) -> None:
    flip(messages / "1.blk")


def flip_message_without_index(messages: Path) -> None:
    flip_message(messages)
    (messages / "index.db").unlink()


def flip_index(messages: Path) -> None:
    flip(messages / "index.db")


def flip_configuration(messages: Path) -> None:
    flip(messages.parent / "meta.inf")


async def read_to(reader: Reader, last: bytes) -> None:
    """Read until this frame comes, and look meanwhile where the stream ends."""
    stream = FrameStream(reader.settings, reader.nats.client, reader.source)
    async with asyncio.timeout(HANGS_S):
        while not reader.frames or reader.frames[-1][1] != last:
            await stream.ask()
            for _ in range(25):
                await reader.source.poll()
                await asyncio.sleep(LOOK_S)


@pytest.mark.parametrize("damage", [cut, flip_message_without_index, flip_index, flip_configuration])
async def test_what_is_left_is_read_once_in_order_and_what_follows_too(scene: Scene, damage: Damage):
    await scene.fill()
    scene.damage(damage)
    async with reading(scene.settings) as reader:
        await reader.begin(0)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: len(reader.frames) >= STORED // 2)
        await publish(scene.settings, 5, first=LATER)
        await read_to(reader, b"%d" % (LATER + 4))
        frames = [raw for _, raw in reader.frames]
        intact = [raw for _, raw in numbered(1, STORED)][: len(frames) - 5]
        assert frames == intact + [b"%d" % number for number in range(LATER, LATER + 5)]
        assert len({seq for seq, _ in reader.frames}) == len(frames)


async def test_messages_that_a_server_stores_and_does_not_send_are_found(scene: Scene):
    """It meets a damaged message when it reads it: from then on it stores, and sends nothing before it is restarted."""
    await scene.fill()
    scene.damage(flip_message)
    async with reading(scene.settings) as reader:
        stream = FrameStream(scene.settings, reader.nats.client, reader.source)
        await reader.begin(0)
        await reader.source.open(reader.deliver)
        await reader.until(lambda: len(reader.frames) >= STORED // 2)
        await publish(scene.settings, 5, first=LATER)
        async with asyncio.timeout(HANGS_S):
            while not (found := list(stream.findings())):
                await stream.ask()
                await reader.source.poll()
                await asyncio.sleep(LOOK_S)
        assert (found[0].name, found[0].says) == (
            "stream_unwell",
            "holds 5 messages after 50, and its server sends none",
        )
        scene.damage(lambda _: None)
        await read_to(reader, b"%d" % (LATER + 4))
        await stream.ask()
        assert not list(stream.findings())
        assert [raw for _, raw in reader.frames[-6:]] == [
            b"50",
            *(b"%d" % number for number in range(LATER, LATER + 5)),
        ]
