"""What ingest finds of the stream that it reads, on a real NATS server."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.js.api import DiscardPolicy, StreamConfig

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.monitoring.frame_stream import FrameStream
from ingest.sources import stream_setup
from tasks.clients.nats_client import NatsClient, connect_once
from tasks.settings import Settings


@pytest.fixture
def settings(nats_url: str, namespace: str) -> Settings:
    return Settings(
        nats_url=nats_url,
        ingest_source="jetstream",
        ingest_stream=namespace,
        ingest_stream_max_bytes=2**26,
        nats_subjects=f"{namespace}.a.>,{namespace}.b.>",
    )


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[NatsClient]:
    client = await connect_once(settings, "test")
    await stream_setup.prepare(client, settings)
    yield client
    await client.close()


async def says(probe: FrameStream) -> list[str]:
    await probe.ask()
    return [f"{finding.sign} {finding.says}" for finding in probe.findings()]


async def edit(client: NatsClient, settings: Settings, **options: Any) -> None:
    config: StreamConfig = (await client.jetstream().stream_info(settings.ingest_stream)).config
    await client.jetstream().update_stream(config.evolve(**options))


async def test_a_stream_that_takes_our_frames_is_well(settings, client):
    assert await says(FrameStream(settings, client)) == []


async def test_a_full_stream_is_a_fault_until_it_has_room(settings, client):
    probe = FrameStream(settings, client)
    await client.jetstream().publish(f"{settings.ingest_stream}.a.x", b"frame")
    await edit(client, settings, discard=DiscardPolicy.NEW, max_msgs=1)
    assert await says(probe) == ["fault is full and refuses what is new (discard new): no frames come in"]
    await edit(client, settings, max_msgs=2)
    assert await says(probe) == []


async def test_a_stream_without_our_subjects_is_a_fault(settings, client):
    await edit(client, settings, subjects=[f"{settings.ingest_stream}.a.>"])
    missing = f"{settings.ingest_stream}.b.>"
    assert await says(FrameStream(settings, client)) == [
        f"fault does not take {missing} (NATS_SUBJECTS): no frames come in"
    ]


async def test_a_sealed_stream_is_a_fault_and_one_that_is_gone_too(settings, client):
    probe = FrameStream(settings, client)
    await edit(client, settings, sealed=True)
    assert await says(probe) == ["fault is sealed: no frames come in"]
    await client.jetstream().delete_stream(settings.ingest_stream)
    assert await says(probe) == ["fault is gone: no frames come in"]


async def test_core_nats_has_no_stream_to_ask_for(settings, client):
    assert await says(FrameStream(settings.model_copy(update={"ingest_source": "core"}), client)) == []


async def test_a_jetstream_that_does_not_tell_is_a_fault_at_the_second_silence(settings):
    with Instance("nats") as instance:
        server, url = start_nats(instance)
        own = settings.model_copy(update={"nats_url": url})
        client = await connect_once(own, "test")
        await stream_setup.prepare(client, own)
        probe = FrameStream(own, client)
        assert await says(probe) == []
        # A lame duck has no JetStream any more.
        server.send(signal.SIGUSR2)
        while "Initiating JetStream Shutdown" not in server.log.read_text():
            await asyncio.sleep(0.01)
        while not (said := await says(probe)):
            await asyncio.sleep(0)
        assert said[0].startswith("fault JetStream does not tell of it (")
        await client.close()
