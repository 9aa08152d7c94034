"""What stands in Redis when tasks were sent."""

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import redis
from redis.asyncio.connection import AbstractConnection

from compose.local.processes import Instance
from compose.local.servers import start_redis
from ingest.dispatch.celery_publisher import CeleryPublisher, OutgoingTask, message
from tasks.clients.redis_client import connect_async, connection_options
from tasks.events import Position
from tasks.protocol import batches
from tasks.protocol.batches import Batch, Epoch, pack_event
from tasks.settings import Settings
from tests.support.events import trade
from tests.support.sending import Queue, carried, celery_app, send
from tests.support.waiting import wait_for
from tests.support.workers.process import LANES, Channels, worker

EVENTS = (trade(id=7, seq=3), trade(id=8, seq=4))
PACKED = tuple(map(pack_event, EVENTS))
TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def batch(partition: int = 5) -> Batch[msgspec.Raw]:
    return Batch("trade", partition, 0, Epoch(2, "3f9a02c1"), None, Position("core-2.3f9a02c1", 4), "c1", PACKED)


def test_a_task_describes_itself_and_lies_in_the_queue_of_its_pool(client, settings):
    client.lpush(f"{settings.celery_prefix}trade", message(OutgoingTask([batch()], "2 events BTCUSDT"), "ingest@here"))
    found = Queue(client, settings).take()
    headers, properties = found["headers"], found["properties"]
    assert headers["id"] == properties["correlation_id"] == "trade-5-2.3f9a02c1-4"
    assert (headers["task"], headers["argsrepr"], headers["kwargsrepr"]) == ("tasks.process", "2 events BTCUSDT", "{}")
    assert headers["origin"] == "ingest@here"
    assert properties["delivery_info"]["routing_key"] == "trade"
    [sent] = carried(found)
    assert (sent.events, sent.identity) == (EVENTS, batch().identity)


# What Celery itself would have put there


def body(message: dict[str, Any]) -> Any:
    return msgspec.msgpack.decode(base64.b64decode(message.pop("body")))


@pytest.mark.parametrize("partitions", [[5], [5, 6, 7]])
@pytest.mark.parametrize("headers", [{}, TRACE])
def test_a_message_is_field_by_field_what_celery_itself_would_have_sent(
    monkeypatch: pytest.MonkeyPatch, client: redis.Redis, settings: Settings, partitions: Sequence[int], headers
):
    sent = [batch(partition) for partition in partitions]
    task = OutgoingTask(sent, "events", headers)
    with celery_app(monkeypatch, settings) as app:
        app.send_task(
            "tasks.process",
            (batches.pack(sent),),
            task_id=batches.task_id(sent),
            queue="trade",
            argsrepr=task.description,
            kwargsrepr="{}",
            headers=dict(headers),
            ignore_result=False,  # as a task's own `apply_async` says it
        )
    theirs = Queue(client, settings).take()
    ours = json.loads(message(task, "ingest@test"))
    assert body(ours) == body(theirs)
    # Who sent it, and where it wants an answer, which only the backend "rpc" gives; a tag, which the task's id is as
    # good for as a random one.
    for where, name in (("headers", "origin"), ("properties", "reply_to"), ("properties", "delivery_tag")):
        assert type(ours[where].pop(name)) is type(theirs[where].pop(name)) is str
    # Options of the call, which stand in the headers already.
    for name in ("argsrepr", "kwargsrepr"):
        assert theirs["properties"].pop(name) == theirs["headers"][name]
    assert ours == theirs


def test_a_real_worker_stores_one_result_for_a_task_of_several_batches(client, keys, settings):
    with worker(settings) as one:
        channels = Channels(client, settings, keys, lanes_a_task=LANES)
        channels.run(1)
        [name] = wait_for(lambda: list(client.scan_iter(f"{settings.celery_prefix}*-meta-*+{LANES - 1}")))
        stored = json.loads(client.get(name))
        assert stored["status"] == "SUCCESS"
        assert stored["result"].items() >= {"events": 3 * LANES, "repeats": LANES}.items()
        assert one.process.returncode is None


# On the way


def test_nothing_but_the_queue_is_made_and_it_stands_under_the_namespace(client, settings):
    before = set(client.keys())
    send(settings, [batch()])
    assert set(client.keys()) - before == {f"{settings.namespace}:celery:trade".encode()}


def test_tasks_that_are_sent_together_take_one_round_trip_and_lie_in_order(
    monkeypatch: pytest.MonkeyPatch, client: redis.Redis, settings: Settings
):
    packets: list[object] = []
    written: Any = AbstractConnection.send_packed_command

    async def counted(*arguments: Any, **options: Any) -> None:
        packets.append(arguments)
        await written(*arguments, **options)

    send(settings, [batch(0)])
    with monkeypatch.context() as patched:
        patched.setattr(AbstractConnection, "send_packed_command", counted)
        send(settings, [batch(1)])
        for_one = len(packets)  # with what opens a connection
        packets.clear()
        send(settings, [batch(2)], [batch(3), batch(4)], [batch(5)])
    assert len(packets) == for_one > 0
    queue = Queue(client, settings)
    lanes = [[each.partition for each in queue.take_batches()] for _ in range(5)]
    assert lanes == [[0], [1], [2], [3, 4], [5]]


async def test_without_a_broker_a_send_fails_in_bounded_time_and_then_recovers(settings):
    """A send works as soon as the broker is back."""
    with Instance("dispatch") as instance:
        process, url = start_redis(instance)
        own = settings.model_copy(update={"redis_url": url})
        async with connect_async(own, own.broker, **connection_options()) as broker:
            publisher, task = (
                CeleryPublisher(broker, own.celery_prefix, "ingest@test"),
                OutgoingTask([batch()], "2 events"),
            )
            await publisher.send([task])
            await asyncio.to_thread(instance.stop, process)
            for _ in range(2):
                with pytest.raises((redis.RedisError, OSError)):
                    await publisher.send([task])
            port = int(url.rpartition(":")[2].partition("/")[0])
            await asyncio.to_thread(start_redis, instance, "redis-again", port=port)
            await publisher.send([task])
        with redis.Redis.from_url(url) as client:
            assert len(Queue(client, own)) == 1
