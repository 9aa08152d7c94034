"""Real workers take what nobody means to send, for a while: no process ends or grows, and batches run afterwards."""

import time
import uuid
from functools import partial

import pytest
import redis

from tasks.clients.redis_client import connection_options
from tasks.ledger import LedgerKeys
from tasks.settings import Settings
from tests.fuzz.queue_entries import Mutator
from tests.support.waiting import wait_for
from tests.support.workers.process import Channels, Worker, worker
from tests.support.workers.unharmed import unharmed

POOLS = {
    "prefork": ("--pool", "prefork", "--concurrency", "1"),
    "solo": ("--pool", "solo"),
}
LONG = [pytest.mark.slow, pytest.mark.timeout(600)]
#: Entries that are put into the queues at once.
CHUNK = 200


@pytest.mark.parametrize(
    ("pool", "seconds"),
    [("prefork", 0), *(pytest.param(pool, 60, marks=LONG) for pool in POOLS)],
)
def test_no_entry_and_no_command_ends_a_worker(pool: str, seconds: int, redis_url: str):
    settings = Settings(redis_url=redis_url, namespace=f"t{uuid.uuid4().hex[:12]}")
    keys, seed = LedgerKeys(settings.namespace), time.time_ns() if seconds else 1
    options = connection_options()
    with (
        redis.Redis.from_url(redis_url, **options) as client,
        worker(settings, *POOLS[pool], "-Q", "trade,research") as one,
    ):
        one.wait_ready()
        lanes, until_s, sent = Channels(client, settings, keys), time.monotonic() + seconds, 0
        print(f"seed {seed}")
        mutator = Mutator(seed)
        with unharmed(one, lanes):
            while True:
                sent += throw(mutator, client, settings, one)
                if time.monotonic() >= until_s:
                    break
            wait_for(lambda: one.samples().get(("worker_foreign_tasks_total",), 0) >= sent, "all to be counted")
    assert sent >= CHUNK


def throw(mutator: Mutator, client: redis.Redis, settings: Settings, one: Worker) -> int:
    """Put entries into both queues and into the remote control; return how many into the queues, once they are taken."""
    prefix = settings.celery_prefix
    queues = [f"{prefix}trade", f"{prefix}research"]
    for queue in queues:
        client.lpush(queue, *mutator.entries(CHUNK))
    for message in mutator.controls(CHUNK // 10):
        client.publish(f"{prefix}/0.celery.pidbox", message)
    wait_for(partial(_taken, client, queues), f"the entries to be taken{one.process.tail()}")
    return CHUNK * len(queues)


def _taken(client: redis.Redis, queues: list[str]) -> bool:
    return not any(client.llen(queue) for queue in queues)
