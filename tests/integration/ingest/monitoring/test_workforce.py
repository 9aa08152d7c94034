"""What a real ingest finds of real workers: a queue that none of them takes tasks from, and their death."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator

import pytest
import redis

from tasks.ops.doctor_probes import ask_nats
from tasks.protocol.routing import partition
from tests.support.service import Ingest, ingest, publish
from tests.support.waiting import wait_for
from tests.support.workers.process import Worker, worker


def found(service: Ingest) -> set[tuple[str, str]]:
    """Return name and object of what /ready finds wrong with workers."""
    findings = json.loads(service.get("/ready")[1])["findings"]
    return {(each["name"], each["what"]) for each in findings if each["name"] in {"no_workers", "queue_unserved"}}


@pytest.fixture
def both(nats_url: str, redis_url: str, namespace: str) -> Iterator[tuple[Ingest, Worker]]:
    """Yield an ingest of the pools depth, trade and basket, and a worker that listens to trade alone."""
    with ingest(nats_url, redis_url, namespace) as service, worker(service.settings) as one:
        service.wait_ready()
        wait_for(lambda: ("no_workers", "workers") not in found(service), "the worker to be seen")
        yield service, one


UNSERVED = {("queue_unserved", "queue depth"), ("queue_unserved", "queue basket")}


def test_queues_without_a_worker_are_found_and_reported_everywhere(both: tuple[Ingest, Worker]):
    service, one = both
    wait_for(lambda: found(service) == UNSERVED, "the two queues that nobody listens to")
    assert one.said()["queues"] == ["trade", f"worker.worker-1@test/{one.process.pid}"]
    assert 'ingest_finding{name="queue_unserved"} 1.0' in service.get("/metrics")[1]
    told = {(each.name, each.what) for status in ask_nats(service.settings).ingest for each in status.findings or ()}
    assert told >= UNSERVED


@pytest.mark.slow
def test_the_number_of_workers_follows_a_kill(both: tuple[Ingest, Worker]):
    service, one = both
    os.kill(one.process.pid, signal.SIGKILL)
    wait_for(lambda: found(service) == {("no_workers", "workers")}, "ingest to know of the death")
    assert "\ningest_workers 0.0" in service.get("/metrics")[1]


SYMBOLS = [f"S{number}USDT" for number in range(40)]
#: Of the pool trade's eight, those that get something.
LANES = {partition("spot", symbol, 8) for symbol in SYMBOLS}
TRADE = b'{"e":"trade","E":1723161255343,"s":"%b","t":%d,"p":"26.5","q":"0.02","T":1723161255343,"m":true}'


def send(service: Ingest, number: int) -> None:
    """Publish one trade of each of forty symbols."""
    subject = f"{service.settings.namespace}.trades"
    trades = [(subject, TRADE % (symbol.encode(), number)) for symbol in SYMBOLS]
    asyncio.run(publish(service.settings.nats_url, *trades))


def held(service: Ingest) -> float:
    """Return how many events wait or are in flight."""
    told = service.get("/metrics")[1]
    counts: list[str] = re.findall(r"^ingest_lane_held_events\{.*\} (.*)$", told, re.MULTILINE)
    return sum(float(count) for count in counts)


def test_a_worker_that_starts_gets_no_more_tasks_than_it_has_processes(nats_url: str, redis_url: str, namespace: str):
    """Before anybody is known, each lane sends a task of its own."""
    queue, client = f"{namespace}:celery:trade", redis.Redis.from_url(redis_url)
    with ingest(nats_url, redis_url, namespace) as service:
        service.wait_ready()
        send(service, 1)
        wait_for(lambda: client.llen(queue) == len(LANES) > 2, "a task of each lane")
        with worker(service.settings) as one:
            wait_for(lambda: ("no_workers", "workers") not in found(service), "the worker to be seen")
            wait_for(lambda: held(service) == 0, "its work to be done")
            os.kill(one.process.pid, signal.SIGSTOP)
            send(service, 2)
            wait_for(lambda: held(service) == len(SYMBOLS), "the next events to be held")
            assert client.llen(queue) <= 1
            os.kill(one.process.pid, signal.SIGCONT)
            wait_for(lambda: held(service) == 0, "all to be done")
    client.close()
