"""Ingest is told to stop while its stream takes other subjects than ours, or is gone."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import nats
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy

from tests.support.relaying import packed
from tests.support.service import PATIENT, Ingest, ingest
from tests.support.waiting import wait_for


def of_a_stream(namespace: str) -> dict[str, str]:
    return {"INGEST_SOURCE": "jetstream", "INGEST_STREAM": namespace, "INGEST_STREAM_MAX_BYTES": str(2**26)}


async def on_jetstream(nats_url: str, act: Callable[[JetStreamContext], Awaitable[object]]) -> None:
    client = await nats.connect(nats_url)
    await act(client.jetstream())
    await client.close()


def stopped(process: Ingest, nats_url: str, change: Callable[[JetStreamContext], Awaitable[object]]) -> int:
    """Change the stream of a running ingest and stop it; return its exit status."""

    process.wait_ready()
    asyncio.run(on_jetstream(nats_url, change))
    process.process.terminate()
    return process.wait_end()


def test_a_stop_is_clean_though_the_stream_takes_other_subjects_by_now(nats_url, redis_url, namespace):
    async def take_others(jetstream: JetStreamContext) -> None:
        config = (await jetstream.stream_info(namespace)).config
        await jetstream.update_stream(config.evolve(subjects=[f"{namespace}-others.>"]))

    with ingest(nats_url, redis_url, namespace, **of_a_stream(namespace)) as process:
        assert stopped(process, nats_url, take_others) == -signal.SIGTERM
        assert process.logged("stopped")
        # A slow one has found out by itself, and told of it.
        assert {line["event"] for line in process.log() if line["level"] == "error"} <= {"finding"}


def test_a_stop_tells_that_a_stream_that_is_gone_does_not_answer(nats_url, redis_url, namespace):
    async def replace(jetstream: JetStreamContext) -> None:
        subjects = (await jetstream.stream_info(namespace)).config.subjects
        await jetstream.delete_stream(namespace)
        # Else ingest would make its stream again if it saw this before the signal.
        await jetstream.add_stream(name=f"{namespace}-another", subjects=subjects)

    with ingest(nats_url, redis_url, namespace, **of_a_stream(namespace)) as process:
        assert stopped(process, nats_url, replace) == 1
        [said] = process.logged("stopped with work left")
        assert said["unread"] == "not known: the stream does not answer"
        assert not process.logged("can't start")


def test_a_stop_waits_for_a_stream_that_takes_signals_again(nats_url, redis_url, client, keys, namespace):
    subject = f"signals-{namespace}.{{strategy}}.{{symbol}}.{{action}}"
    stream = f"S-{namespace}"

    async def fill(jetstream: JetStreamContext) -> None:
        await jetstream.add_stream(
            name=stream, subjects=[f"signals-{namespace}.>"], max_msgs=1, discard=DiscardPolicy.NEW
        )
        await jetstream.publish(f"signals-{namespace}.full")

    async def make_room(jetstream: JetStreamContext) -> None:
        wait_for(lambda: process.logged("stopping"), "the stop")
        config = (await jetstream.stream_info(stream)).config
        await jetstream.update_stream(config.evolve(max_msgs=10))

    with ingest(nats_url, redis_url, namespace, SIGNAL_SUBJECT=subject, **PATIENT) as process:
        process.wait_ready()
        asyncio.run(on_jetstream(nats_url, fill))
        client.xadd(keys.signals, {"signal": packed("a")})
        wait_for(lambda: "signals_wait" in process.get("/ready")[1], "the signal to wait")
        process.process.terminate()
        asyncio.run(on_jetstream(nats_url, make_room))
        assert process.wait_end() == -signal.SIGTERM
        asyncio.run(on_jetstream(nats_url, lambda jetstream: jetstream.delete_stream(stream)))
