"""What stands in Redis when a batch was sent."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu.exceptions import OperationalError

from compose.local.processes import Instance
from compose.local.servers import start_redis
from ingest.dispatcher import Dispatcher
from tasks.batches import Batch, Epoch, describe, pack_event
from tasks.events import Position
from tasks.settings import Settings
from tests.integration.sending import Queue, carried, dispatching
from tests.unit.examples import trade

EVENTS = (trade(id=7, seq=3), trade(id=8, seq=4))
PACKED = tuple(map(pack_event, EVENTS))
BATCH = Batch("trade", 5, 0, Epoch(2, "3f9a02c1"), None, Position("core-2.3f9a02c1", 4), "c1", PACKED)


@pytest.fixture
def settings(redis_url: str, namespace: str) -> Settings:
    return Settings(redis_url=redis_url, namespace=namespace)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def dispatcher(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Dispatcher]:
    with dispatching(monkeypatch, settings) as dispatcher:
        yield dispatcher


def send(dispatcher: Dispatcher) -> None:
    asyncio.run(dispatcher.send(BATCH, describe(BATCH.events, ["BTCUSDT", "BTCUSDT"])))


def test_a_task_says_in_plain_words_what_it_is_and_lies_in_the_queue_of_its_pool(client, settings, dispatcher):
    send(dispatcher)
    message = Queue(client, settings).take()
    headers, properties = message["headers"], message["properties"]
    assert headers["id"] == properties["correlation_id"] == "trade-5-2.3f9a02c1-4"
    assert (headers["task"], headers["kwargsrepr"]) == ("tasks.process", "{}")
    assert "2 events BTCUSDT" in headers["argsrepr"]
    assert properties["delivery_info"]["routing_key"] == "trade"
    batch = carried(message)
    assert (batch.events, batch.identity) == (EVENTS, BATCH.identity)


def test_every_key_of_the_queue_stands_under_the_namespace(client, settings, dispatcher):
    before = set(client.keys())
    send(dispatcher)
    new = {key.decode() for key in set(client.keys()) - before}
    assert f"{settings.namespace}:celery:trade" in new
    assert all(key.startswith(f"{settings.namespace}:celery:") for key in new)


def test_sending_subscribes_to_nothing(client, dispatcher):
    def subscriptions() -> int:
        stats: Any = client.info("commandstats")
        return sum(about["calls"] for name, about in stats.items() if "subscribe" in name)

    before = subscriptions()
    for _ in range(3):
        send(dispatcher)
    assert subscriptions() == before
    assert client.client_list(_type="pubsub") == []


def test_without_a_broker_a_send_fails_in_bounded_time_and_works_once_it_is_back(monkeypatch, settings):
    with Instance("dispatch") as instance:
        process, url = start_redis(instance)
        own = settings.model_copy(update={"redis_url": url})
        with dispatching(monkeypatch, own) as dispatcher:
            send(dispatcher)
            instance.stop(process)
            started_s = time.monotonic()
            for _ in range(2):
                with pytest.raises((OperationalError, redis.RedisError, OSError)):
                    send(dispatcher)
            assert time.monotonic() - started_s < 15
            start_redis(instance, "redis-again", port=int(url.rpartition(":")[2].partition("/")[0]))
            send(dispatcher)
            with redis.Redis.from_url(url) as client:
                assert len(Queue(client, own)) == 1
