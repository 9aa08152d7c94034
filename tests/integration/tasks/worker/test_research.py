"""Live batches go first: slices of sweeps see that they wait."""

import redis

from tasks.clients.redis_client import connect
from tasks.settings import Settings
from tasks.worker.research import live_batches_wait


def test_a_batch_in_any_live_queue_is_seen(client: redis.Redis, settings: Settings):
    queues = [f"{settings.celery_prefix}{name}" for name in ("depth", "trade")]
    assert not live_batches_wait(client, queues)
    client.lpush(queues[1], b"a batch")
    assert live_batches_wait(client, queues)
    client.rpop(queues[1])
    assert not live_batches_wait(client, queues)


def test_a_worker_without_live_queues_asks_nobody(settings: Settings):
    assert not live_batches_wait(connect(settings, "redis://127.0.0.1:1/0"), [])


def test_without_a_broker_nothing_waits(settings: Settings):
    assert not live_batches_wait(connect(settings, "redis://127.0.0.1:1/0"), ["depth"])
