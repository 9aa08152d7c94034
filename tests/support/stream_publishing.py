"""A publisher to a stream on a server of its own, which a test kills or suspends."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import nats
import psutil
from nats.aio.client import Client

from compose.local.processes import Instance, Process
from compose.local.servers import start_nats
from ingest.feeds.stream_publisher import OUTAGE_LIMITS, TIMEOUTS, InFlightLimits, PublishTimeouts, StreamPublisher
from ingest.sources import stream_setup
from tasks.settings import Settings
from tests.support.waiting import HANGS_S, wait_for

#: Quick to notice, and quick to give up.
QUICK = PublishTimeouts(confirmed_within_s=0.3, pause_s=0.02, settle_s=0.3, tick_s=0.05)


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
    wait_for(lambda: suspended.status() == psutil.STATUS_STOPPED, "the server to stop")
    return suspended


def to_stream(url: str, stream: str = "FRAMES") -> Settings:
    return Settings(nats_url=url, ingest_source="jetstream", ingest_stream=stream, ingest_stream_max_bytes=2**28)


@asynccontextmanager
async def made(settings: Settings, **options: Any) -> AsyncIterator[Client]:
    """Yield a client of a server on which the stream is."""
    client = await nats.connect(settings.nats_url.split(","), max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    if options:
        await client.jetstream().add_stream(name=settings.ingest_stream, subjects=["binance.>"], **options)
    else:
        await stream_setup.prepare(client, settings)
    try:
        yield client
    finally:
        await client.close()


async def stored(settings: Settings) -> list[bytes]:
    """Return what the stream holds."""
    async with await nats.connect(settings.nats_url.split(",")) as client:
        context = client.jetstream()
        info = await context.stream_info(settings.ingest_stream)
        found: list[bytes] = []
        subscription = await client.subscribe(client.new_inbox(), pending_msgs_limit=-1, pending_bytes_limit=-1)
        await context.add_consumer(
            settings.ingest_stream, deliver_subject=subscription.subject, ack_policy="none", mem_storage=True
        )
        while len(found) < info.state.messages:
            found.append((await subscription.next_msg(HANGS_S)).data)
        return found


@asynccontextmanager
async def publishing(
    settings: Settings, timeouts: PublishTimeouts = TIMEOUTS, outage_limits: InFlightLimits = OUTAGE_LIMITS
) -> AsyncIterator[StreamPublisher]:
    publisher = StreamPublisher(settings, timeouts, outage_limits)
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


async def until_messages(client: Client, settings: Settings, count: int) -> None:
    while (await client.jetstream().stream_info(settings.ingest_stream)).state.messages < count:
        await asyncio.sleep(0.01)
