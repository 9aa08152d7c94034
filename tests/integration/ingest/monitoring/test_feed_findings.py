"""What a real ingest finds wrong with its feed, as /ready, the metric, the log and the doctor tell it."""

import asyncio
import json
import os
from typing import Any

from tests.support.service import Ingest, ingest, publish
from tests.support.starting import start
from tests.support.waiting import wait_for

TRADE = b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}'
KLINE = b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1723161255343,"s":"BTCUSDT"}}'


def ready(service: Ingest) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(service.get("/ready")[1])
    return said


def found(service: Ingest) -> dict[str, dict[str, str]]:
    """Return what /ready finds, but for the workers, of which there are none."""
    return {each["name"]: each for each in ready(service)["findings"] if each["name"] not in {"", "no_workers"}}


def doctor(service: Ingest) -> list[dict[str, str]]:
    done = start(["tasks", "doctor", "--json"], os.environ | service.environment)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_unused_feed_and_then_a_silent_one_are_reported_everywhere(nats_url: str, redis_url: str, namespace: str):
    with ingest(nats_url, redis_url, namespace, FEED_QUIET_S="2") as service:
        service.wait_ready()
        assert ready(service)["feed"]["age_s"] is None
        numbers = iter(range(1, 10**6))

        def send(frame: bytes) -> None:
            asyncio.run(publish(nats_url, (f"{namespace}.x", frame)))

        def tells(name: str, frame: bytes = b"") -> bool:
            if frame:
                send(frame)
            return set(found(service)) - {"lanes_slow", "lanes_stuck"} == ({name} if name else set())

        # when: klines only, as from a feed with the wrong streams
        wait_for(lambda: tells("frames_unused", KLINE), "frames that nobody uses")
        assert found(service)["frames_unused"]["says"].endswith("kinds kline")
        # when: trades as well
        wait_for(lambda: tells("", TRADE % next(numbers)), "frames that are used")
        assert ready(service)["feed"]["streams"] == 1
        # when: nothing any more
        wait_for(lambda: tells("feed_quiet"), "a quiet feed")
        assert 'ingest_finding{name="feed_quiet"} 1.0' in service.get("/metrics")[1]
        assert {line["name"] for line in service.logged("finding")} >= {"frames_unused", "feed_quiet"}
        of_feed = [each for each in doctor(service) if each["what"].startswith("feed")]
        assert [(each["sign"], each["name"]) for each in of_feed] == [("warning", "feed_quiet")]


def test_a_stream_that_repeats_itself_is_found(nats_url: str, redis_url: str, namespace: str):
    with ingest(nats_url, redis_url, namespace, FEED_QUIET_S="2") as service:
        service.wait_ready()

        def repeats() -> bool:
            asyncio.run(publish(nats_url, *[(f"{namespace}.x", TRADE % 7)] * 5))
            return "feed_repeats" in found(service)

        wait_for(repeats, "the repeats to be found")
        assert found(service)["feed_repeats"]["says"].endswith("spot:BTCUSDT:trade")


def test_a_feed_that_died_before_ingest_was_started_again_is_found(nats_url: str, redis_url: str, namespace: str):
    with ingest(nats_url, redis_url, namespace) as service:
        service.wait_ready()
        asyncio.run(publish(nats_url, (f"{namespace}.x", TRADE % 1)))
        wait_for(lambda: (service.ready() or {})["feed"]["streams"], "the event")
        service.process.terminate()
        service.wait_end()
    with ingest(nats_url, redis_url, namespace, FEED_QUIET_S="2") as service:
        service.wait_ready()
        wait_for(lambda: "feed_quiet" in found(service), "the dead feed to be found")
        assert ready(service)["feed"]["streams"] == 0
