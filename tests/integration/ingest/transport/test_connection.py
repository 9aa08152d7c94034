"""The connection to a real NATS server: lost, silent or closed for good, which is noticed and told once."""

import asyncio
import json
import signal
import time

import pytest
from nats.errors import FlushTimeoutError

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.components import Components
from tasks.errors import ServerUnavailableError
from tasks.ledger.reader import LedgerReader
from tasks.settings import Settings, load
from tests.support.core_source import listening
from tests.support.service import ingest, publish
from tests.support.waiting import HANGS_S, wait_for

TRADE = b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}'


def test_a_restart_of_nats_is_survived_and_reported_once(redis_url, namespace):
    """Redis is not blamed for it."""
    with Instance("source") as instance:
        process, url = start_nats(instance)
        port = int(url.rpartition(":")[2])
        with ingest(url, redis_url, namespace) as service:
            service.wait_ready()
            instance.stop(process)
            stopped_s = time.monotonic()
            wait_for(lambda: service.get("/ready")[0] == 503, "ingest to miss NATS")
            assert service.get("/healthz")[0] == 200
            wait_for(lambda: time.monotonic() - stopped_s > 3)
            start_nats(instance, "nats-again", port=port)
            service.wait_ready()
            reader = LedgerReader(service.settings)

            def flows() -> bool:
                asyncio.run(publish(url, (f"{namespace}.x", TRADE % 1)))
                return reader.counters().of("frames") > 0

            wait_for(flows, "frames")
            reader.client.close()
            assert [line["part"] for line in service.logged("connection lost, retrying")] == ["nats"]
            assert [line["part"] for line in service.logged("connected")] == ["redis", "nats", "nats"]


async def test_a_connection_that_nats_closed_for_good_is_noticed_with_its_reason(nats_url, namespace):
    async with listening(nats_url, f"{namespace}.>") as listener:
        client = listener.nats.client
        assert listener.parts.all_up
        # The headers make it too large, which nats-py does not look at and the server does not forgive.
        await client.publish(f"{namespace}.x", b"x" * client.max_payload, headers={"a": "b"})
        with pytest.raises(ServerUnavailableError, match=r"for good.*maximum payload"):
            await asyncio.wait_for(listener.nats.watch(), HANGS_S)
        assert not listener.parts.all_up


async def test_a_nats_that_stops_answering_is_unavailable_until_it_answers_again():
    with Instance("source") as instance:
        process, url = start_nats(instance)
        async with listening(url, "x.>") as listener:

            async def probed_until(up: bool, within_s: float) -> None:  # noqa: FBT001 the one thing that is waited for
                async with asyncio.timeout(HANGS_S):
                    while listener.parts.up["nats"] is not up:
                        await listener.nats.probe(within_s)

            await listener.nats.probe(HANGS_S)
            assert listener.parts.up["nats"]
            process.send(signal.SIGSTOP)
            await probed_until(False, 0.3)  # noqa: FBT003 as above
            process.send(signal.SIGCONT)
            await probed_until(True, HANGS_S)  # noqa: FBT003 as above
            # The answers to the pings of before come now, and disturb nothing.
            await listener.nats.probe(HANGS_S)
            assert listener.parts.up["nats"]
            assert listener.nats.client.stats["reconnects"] == 0


def test_ready_says_within_10_s_that_nats_does_not_answer(redis_url, namespace):
    with Instance("source") as instance:
        process, url = start_nats(instance)
        with ingest(url, redis_url, namespace) as service:
            service.wait_ready()
            process.send(signal.SIGSTOP)
            wait_for(lambda: service.get("/ready")[0] == 503, "ingest to miss NATS")
            assert {"nats_away"} == {each["name"] for each in json.loads(service.get("/ready")[1])["findings"]} - {
                "no_workers",
                "",
            }
            process.send(signal.SIGCONT)
            wait_for(lambda: service.get("/ready")[0] == 200, "ingest to hear from NATS")


async def test_a_time_out_of_nats_is_not_taken_for_one_of_redis(nats_url, redis_url):
    components = Components(Settings(nats_url=nats_url, redis_url=redis_url))
    load.cache_clear()
    components.connectivity.back("redis")

    async def flush() -> None:
        raise FlushTimeoutError

    async def ask_redis() -> None:
        raise TimeoutError

    await components.steps.run(flush)
    assert components.connectivity.up["redis"]
    await components.steps.run(ask_redis)
    assert not components.connectivity.up["redis"]
