"""Ingest is told to stop while NATS is unavailable: what the stream holds is read when NATS is back, or told."""

import asyncio
import json
import re
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import nats
import pytest

from compose.local.servers import free_port
from tests.support.feeds import envelope, trade
from tests.support.servers.proxy import Proxy
from tests.support.service import Ingest, ingest
from tests.support.waiting import wait_for

FRAMES = 300
#: Of a kind that no strategy takes, so that no worker is needed.
FRAME = b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","s":"BTCUSDT"}}'

_FULL = re.compile(r"^ingest_lane_full\{.*\} 1\.0$", re.MULTILINE)


def of_a_stream(namespace: str) -> dict[str, str]:
    return {"INGEST_SOURCE": "jetstream", "INGEST_STREAM": namespace, "INGEST_STREAM_MAX_BYTES": str(2**26)}


async def store(nats_url: str, namespace: str, frames: Iterable[bytes] = (FRAME,) * FRAMES) -> None:
    client = await nats.connect(nats_url)
    context = client.jetstream()
    for frame in frames:
        await context.publish_async(f"{namespace}.btcusdt@trade", frame)
    await context.publish_async_completed()
    await client.close()


@contextmanager
def cut_off(nats_url: str, redis_url: str, namespace: str, drain_s: str) -> Iterator[tuple[Ingest, Proxy]]:
    """Yield an ingest process that has lost NATS, and a stream with frames that it has not read."""
    with Proxy(int(nats_url.rpartition(":")[2])) as proxy:
        url = f"nats://127.0.0.1:{proxy.port}"
        with ingest(url, redis_url, namespace, INGEST_DRAIN_S=drain_s, **of_a_stream(namespace)) as process:
            process.wait_ready()
            proxy.silent = True
            asyncio.run(store(nats_url, namespace))
            proxy.cut()
            wait_for(lambda: process.logged("connection lost, retrying"), "the loss of NATS")
            process.process.terminate()
            wait_for(lambda: process.logged("stopping"), "the stop")
            yield process, proxy


def test_a_stop_reads_what_the_stream_holds_once_nats_is_back(nats_url, redis_url, namespace):
    with cut_off(nats_url, redis_url, namespace, drain_s="30") as (process, proxy):
        proxy.silent = False
        proxy.cut()

        assert process.wait_end() == -signal.SIGTERM
        assert [line["frames"] for line in process.logged("stopped")] == [FRAMES]


@pytest.mark.parametrize("signals", [1, 2])
def test_a_stop_tells_that_it_does_not_know_what_is_unread(nats_url, redis_url, namespace, signals):
    # Told once, it waits as long as it may; told twice, no longer.
    with cut_off(nats_url, redis_url, namespace, drain_s="1" if signals == 1 else "3600") as (process, _):
        if signals == 2:
            process.process.terminate()

        assert process.wait_end() == 1
        assert [line["unread"] for line in process.logged("stopped with work left")] == [
            "not known: NATS is unavailable"
        ]


def test_a_stop_tells_how_much_is_unread(nats_url, redis_url, namespace):
    # Without workers, ingest holds what it may, and reads no more.
    count, bound = 20_000, {"INGEST_LANE_BYTES": str(2**20), "INGEST_TOTAL_BYTES": str(2**20)}
    frames = [json.dumps(envelope(trade(number), 1_763_793_100_000_000_000)).encode() for number in range(1, count + 1)]
    with ingest(nats_url, redis_url, namespace, INGEST_DRAIN_S="0", **of_a_stream(namespace), **bound) as process:
        process.wait_ready()
        asyncio.run(store(nats_url, namespace, frames))
        wait_for(lambda: _FULL.search(process.get("/metrics")[1]), "a full lane")
        process.process.terminate()

        assert process.wait_end() == 1
        said = process.logged("stopped with work left")[0]
        assert 0 < said["unread"] <= count


def test_a_stop_before_nats_was_reached_says_that_nothing_was_taken(redis_url, namespace):
    with ingest(f"nats://127.0.0.1:{free_port()}", redis_url, namespace, **of_a_stream(namespace)) as process:
        wait_for(lambda: process.logged("connection lost, retrying"), "the first attempt")
        process.process.terminate()

        assert process.wait_end() == -signal.SIGTERM
        assert len(process.logged("stopped before it took any frame")) == 1
