"""What ingest makes of notices: commits it learns of, those it missed, workers, and what is no notice."""

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import redis

from ingest.components import Components
from tasks.event_loop import end
from tasks.events import AnyEvent
from tasks.ledger import LedgerKeys
from tasks.ledger.heartbeats import Heartbeat
from tasks.ledger.reader import LedgerReader
from tasks.protocol.batches import Batch
from tasks.protocol.notice import Notice
from tasks.settings import Settings
from tests.support.sending import Queue, one_pool
from tests.support.service import Ingest, ingest, publish
from tests.support.waiting import HANGS_S, wait_for

TRADE = b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}'


def held(service: Ingest) -> int:
    return int((service.ready() or {"held_events": -1})["held_events"])


def take(queue: Queue, number: int) -> Batch[AnyEvent]:
    """Take tasks until one carries the trade of this number: on a slow machine copies of others come before it."""
    while True:
        wait_for(lambda: len(queue))
        batch = queue.take_batch()
        if [event.id for event in batch.events] == [number]:
            return batch


def test_commits_are_known_when_the_notices_connection_dies_and_after(nats_url, redis_url, namespace, tmp_path: Path):
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with ingest(nats_url, redis_url, namespace, **own) as service, redis.Redis.from_url(redis_url) as client:
        service.wait_ready()
        queue, reader = Queue(client, service.settings), LedgerReader(service.settings)
        for number in (1, 2):
            asyncio.run(publish(nats_url, (f"{namespace}.x", TRADE % number)))
            batch = take(queue, number)
            if number == 1:
                client.client_kill_filter(_type="pubsub")
            queue.commit(batch)
            wait_for(lambda: held(service) == 0)
        wait_for(lambda: reader.counters().of("committed") == 2)
        reader.client.close()


async def test_every_lane_is_asked_each_time_that_notices_are_subscribed_to(settings: Settings):
    asked: list[bool] = []

    class Cut:
        async def next(self) -> str:
            raise redis.ConnectionError

        close = AsyncMock()

    async def poll(*, all_lanes: bool = False) -> None:
        asked.append(all_lanes)

    components: Any = Components(settings)
    components.ledger.subscribe = AsyncMock(return_value=Cut())
    components.sender.poll = poll
    try:
        for _ in range(2):
            await components.steps.run(components.notice_listener.follow)
    finally:
        await components.ledger.close()
    assert asked == [True, True]


async def test_a_worker_that_starts_or_stops_is_known_by_its_notice(settings: Settings):
    """Nobody asks again and again here."""
    components: Any = Components(settings)
    components.sender.poll = AsyncMock()
    following = asyncio.create_task(components.notice_listener.follow())
    worker = Heartbeat(settings, "w1@a")

    async def known(processes: int) -> None:
        async with asyncio.timeout(HANGS_S):
            while (workforce := components.server_probe.workforce()) is None or workforce.processes(
                "trade"
            ) != processes:
                assert not following.done()
                await asyncio.sleep(0.001)

    try:
        await known(0)
        await worker.announce(2, ["trade"])
        await known(2)
        await worker.announce(2, [])
        await known(0)
        await worker.announce(3, ["trade"])
        await known(3)
        await worker.leave()
        await known(0)
    finally:
        await end(following)
        await worker.close()
        await components.ledger.close()


def test_what_is_no_notice_is_passed_over_and_what_comes_with_it_is_not(nats_url, redis_url, namespace, tmp_path: Path):
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with ingest(nats_url, redis_url, namespace, **own) as service, redis.Redis.from_url(redis_url) as client:
        service.wait_ready()
        channel = LedgerKeys(namespace).notices
        wait_for(lambda: client.publish(channel, b"nowhere|0|1.a|core@1") == 1, "ingest to listen")
        for rubbish in (b"\xff\xfe", b"", b"a|b|c|d"):
            assert client.publish(channel, rubbish) == 1
        wait_for(lambda: len(service.logged("not a notice")) == 3)
        queue = Queue(client, service.settings)
        asyncio.run(publish(nats_url, (f"{namespace}.x", TRADE % 1)))
        wait_for(lambda: len(queue))
        batch = queue.take_batch()
        client.publish(channel, f"a|b|c|d\n{Notice(batch.lane, str(batch.epoch), batch.to)}")
        wait_for(lambda: held(service) == 0)
        assert len(service.logged("not a notice")) == 4
        assert service.process.returncode is None
