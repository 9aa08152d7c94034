"""What a real ingest finds of real workers: a queue that none of them takes tasks from, and their death."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from tasks.ops.doctor_probes import ask_nats
from tests.support.service import Ingest, ingest
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
    assert one.said()["queues"] == ["trade"]
    assert 'ingest_finding{name="queue_unserved"} 1.0' in service.get("/metrics")[1]
    told = {(each.name, each.what) for status in ask_nats(service.settings).ingest for each in status.findings or ()}
    assert told >= UNSERVED


@pytest.mark.slow
def test_the_number_of_workers_follows_a_kill(both: tuple[Ingest, Worker]):
    service, one = both
    os.kill(one.process.pid, signal.SIGKILL)
    wait_for(lambda: found(service) == {("no_workers", "workers")}, "ingest to know of the death")
    assert "\ningest_workers 0.0" in service.get("/metrics")[1]
