"""The queue that one worker alone takes tasks from."""

import pytest

from tasks.ledger import heartbeats
from tests.support.waiting import wait_for
from tests.support.workers.process import LANES, Channels, worker


@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_a_worker_runs_what_is_in_its_own_queue_as_in_that_of_the_pool(client, keys, settings, pool: str):
    """And leaves nothing of it in Redis: a worker's name may never come back."""
    with worker(settings, "--pool", pool, "--concurrency", "1") as one:
        one.wait_ready()
        own = f"worker.worker-1@test/{one.process.pid}"
        channels = Channels(client, settings, keys, lanes_a_task=LANES, queue=own)
        channels.run(2)
        assert client.llen(f"{settings.celery_prefix}{own}") == 0
        assert one.said()["queues"] == ["trade", own]
        assert one.samples()["worker_batches_total", "trade"] == 2 * LANES
    assert list(client.scan_iter(f"*{settings.namespace}*{own}*")) == []
    bindings = client.scan_iter(f"{settings.celery_prefix}_kombu.binding*", _type="set")
    assert [member for key in bindings for member in client.smembers(key) if own.encode() in member] == []


def test_a_worker_of_sweeps_has_no_queue_of_its_own(client, keys, settings):
    """A small task would wait there for a slice to end."""
    with worker(settings, "--pool", "solo", "--queues", "trade,research"):
        [seen] = wait_for(lambda: heartbeats.read(client, keys), "the worker")
        assert seen.queues == ["research", "trade"]
