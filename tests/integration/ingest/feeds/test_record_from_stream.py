"""The recorder on a stream: all of it, in order, with the times at which it was stored."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.feeds import record as feed
from tasks.errors import SettingsError
from tasks.history.recordings import read
from tasks.settings import Settings
from tests.support.feeds import BOOK, envelope, text, trade, until
from tests.support.streaming import settings_of_a_stream
from tests.support.waiting import cancelled

#: The exchange's own: nothing in it tells when it came.
TIMELESS = text({"stream": "btcusdt@depth20@100ms", "data": BOOK})


async def _recorded(settings: Settings, path: Path, during: Callable[[JetStreamContext], Awaitable[None]]) -> None:
    """Record what `during` has the stream store; a frame is there from before."""
    client = await nats.connect(settings.nats_url)
    stream = client.jetstream()
    await stream.add_stream(name=settings.ingest_stream, subjects=[settings.nats_subjects])
    await stream.publish(f"{settings.ingest_stream}.x", TIMELESS)
    task = asyncio.create_task(feed.record(settings, path, seconds=None, force=False))
    await until(path.exists, "the file")
    await during(stream)
    await cancelled(task)
    await client.close()


async def _store(stream: JetStreamContext, name: str, frames: list[bytes]) -> None:
    for frame in frames:
        await stream.publish(f"{name}.x", frame)


async def test_a_frame_without_a_time_has_that_at_which_it_was_stored(nats_url, tmp_path, namespace):
    path, settings = tmp_path / "stream.jsonl", settings_of_a_stream(nats_url, namespace)
    stored_ns = []

    async def during(stream: JetStreamContext) -> None:
        await _store(stream, namespace, [TIMELESS] * 50)
        for seq in range(2, 52):
            message = await stream.get_msg(namespace, seq)
            assert message.time
            stored_ns.append(int(message.time.timestamp() * 1e6) * 1_000)

    await _recorded(settings, path, during)

    times_ns = [line.received_at_ns for line in read(path)]
    assert len(times_ns) == 50
    # The client gives a message's time as float seconds here and as a date there.
    assert all(abs(one - other) <= 1_000 for one, other in zip(times_ns, stored_ns, strict=True))


async def test_all_is_recorded_in_order_though_nats_is_killed(tmp_path, namespace):
    path = tmp_path / "stream.jsonl"
    frames = [text(envelope(trade(number), 10**18 + number)) for number in range(300)]

    with Instance("recorder") as instance:
        server, url = start_nats(instance)

        async def during(stream: JetStreamContext) -> None:
            await _store(stream, namespace, frames[:150])
            instance.kill(server)
            instance.start_again(server)
            client = await nats.connect(url)
            await _store(client.jetstream(), namespace, frames[150:])
            await until(lambda: path.read_bytes().count(b"\n") == 300, "all frames")
            await client.close()

        await _recorded(settings_of_a_stream(url, namespace), path, during)

    assert [line.raw for line in read(path)] == frames


async def test_a_stream_that_cant_be_a_log_is_refused_with_the_reason(nats_url, tmp_path, namespace):
    settings = settings_of_a_stream(nats_url, namespace)

    client = await nats.connect(nats_url)
    await client.jetstream().add_stream(name=namespace, subjects=[f"{namespace}.>"], retention="workqueue")
    await client.close()
    with pytest.raises(SettingsError, match="it is no log"):
        await feed.record(settings, tmp_path / "none.jsonl", seconds=None, force=False)
    assert list(tmp_path.iterdir()) == []
