"""What feeds publish by partition, and what the recorder makes of that."""

import asyncio
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg

from ingest.feeds.frame_partition import partitioner
from ingest.feeds.publishing import publishing
from ingest.feeds.record import record
from ingest.transport.flush import confirm_published
from tasks.events import Venue
from tasks.history.recordings import read
from tasks.settings import Settings
from tests.support.feeds import envelope, text, trade, until
from tests.support.streaming import settings_of_a_stream
from tests.support.waiting import cancelled

Q = 16
STREAM = "btcusdt@trade"
FRAME = text(envelope(trade(1), 1_723_161_254_087_896_568))


async def published(settings: Settings, venue: Venue | None) -> list[str]:
    """Return the subjects on which a publisher of a feed put a frame and a neutral one."""
    client = await nats.connect(settings.nats_url)
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        if message.data == FRAME:
            heard.append(message.subject)

    await client.subscribe("binance.>", cb=hear)
    await confirm_published(client)
    async with publishing(settings, venue=venue) as publisher:
        await publisher.put(STREAM, FRAME)
        await publisher.settle()
    await confirm_published(client)
    await client.close()
    return heard


@pytest.mark.parametrize("venue", ["spot", None])
async def test_a_feed_publishes_a_frame_to_its_symbols_partition(nats_url: str, venue: Venue | None):
    find = partitioner(Q, venue)
    assert find
    subjects = await published(Settings(nats_url=nats_url, nats_partitions=Q), venue)
    assert subjects == [f"binance.{find(STREAM, FRAME)}.{STREAM}"]


@pytest.mark.parametrize("source", ["core", "jetstream"])
async def test_the_recorder_hears_every_partition_and_names_streams_as_ever(
    nats_url: str, namespace: str, tmp_path: Path, source: str
):
    """A bare frame's stream is the last token of its subject."""
    path, settings = tmp_path / "all.jsonl", settings_of_a_stream(nats_url, namespace)
    settings = settings.model_copy(update={"ingest_source": source, "nats_partitions": Q, "ingest_shard": "1/2"})
    client = await nats.connect(nats_url)
    await client.jetstream().add_stream(name=namespace, subjects=[f"{namespace}.>"])
    listening = asyncio.Event()
    task = asyncio.create_task(record(settings, path, seconds=None, force=False, on_listening=listening.set))
    await listening.wait()
    for number, partition in enumerate((0, 7, 15), start=1):
        await client.jetstream().publish(f"{namespace}.{partition}.{STREAM}", text(trade(number)))
    await until(lambda: path.read_bytes().count(b"\n") == 3, "three lines")
    await cancelled(task)
    await client.close()
    assert [line.stream for line in read(path)] == [STREAM] * 3
