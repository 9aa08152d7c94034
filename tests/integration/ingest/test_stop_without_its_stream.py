"""Ingest is told to stop while its stream takes other subjects than ours, or is gone."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import nats
from nats.js import JetStreamContext

from tests.support.service import Ingest, ingest


def of_a_stream(namespace: str) -> dict[str, str]:
    return {"INGEST_SOURCE": "jetstream", "INGEST_STREAM": namespace, "INGEST_STREAM_MAX_BYTES": str(2**26)}


def stopped(process: Ingest, nats_url: str, change: Callable[[JetStreamContext], Awaitable[object]]) -> int:
    """Change the stream of a running ingest and stop it; return its exit status."""

    async def apply() -> None:
        client = await nats.connect(nats_url)
        await change(client.jetstream())
        await client.close()

    process.wait_ready()
    asyncio.run(apply())
    process.process.terminate()
    return process.wait_end()


def test_a_stop_is_clean_though_the_stream_takes_other_subjects_by_now(nats_url, redis_url, namespace):
    async def take_others(jetstream: JetStreamContext) -> None:
        config = (await jetstream.stream_info(namespace)).config
        await jetstream.update_stream(config.evolve(subjects=[f"{namespace}-others.>"]))

    with ingest(nats_url, redis_url, namespace, **of_a_stream(namespace)) as process:
        assert stopped(process, nats_url, take_others) == -signal.SIGTERM
        assert process.logged("stopped")
        assert [line["event"] for line in process.log() if line["level"] == "error"] == []


def test_a_stop_tells_that_a_stream_that_is_gone_does_not_answer(nats_url, redis_url, namespace):
    async def delete(jetstream: JetStreamContext) -> None:
        await jetstream.delete_stream(namespace)

    with ingest(nats_url, redis_url, namespace, **of_a_stream(namespace)) as process:
        assert stopped(process, nats_url, delete) == 1
        [said] = process.logged("stopped with work left")
        assert said["unread"] == "not known: the stream does not answer"
        assert not process.logged("can't start")
