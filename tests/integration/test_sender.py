"""The sender over a real queue and a real ledger; the test plays the workers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
import redis

from ingest.layout import Layout
from ingest.lease import SupersededError
from ingest.ledger import Reading
from ingest.service import Service
from tasks import deadletters
from tasks.batches import Batch
from tasks.events import AnyEvent
from tasks.ledger import Keys, Notice, lane_field
from tasks.outbox import Outbox
from tasks.settings import Settings
from tests.integration.sending import CONFIGURATION, Queue, Rig, begun, one_pool
from tests.integration.service import Ingest, ingest, publish
from tests.waiting import wait_for

TRADE = b'{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":%d,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}'


@pytest.fixture
def play(settings: Settings) -> Callable[[Callable[[Rig], Awaitable[None]]], None]:
    """Run a scene with a rig whose first epoch has begun."""

    def run(scene: Callable[[Rig], Awaitable[None]]) -> None:
        asyncio.run(begun(Rig(settings), scene))

    return run


def test_a_commit_whose_notice_was_lost_is_found_by_asking_the_ledger_and_nothing_is_sent_again(play):
    async def scene(rig: Rig) -> None:
        rig.offer()
        await rig.sent()
        rig.queue.commit(rig.queue.take_batch())
        rig.offer()
        await rig.until(lambda: rig.lanes.held == 1, looking=True)
        await rig.sent()
        assert (rig.tally.totals["resends"], rig.tally.totals["committed"]) == (0, 1)

    play(scene)


def test_a_look_at_all_lanes_finds_every_lost_notice_at_once(play):
    async def scene(rig: Rig) -> None:
        rig.offer("BTCUSDT")
        rig.offer("ETHUSDT")
        await rig.sent(2)
        for _ in range(2):
            rig.queue.commit(rig.queue.take_batch())
        await rig.sender.look(everywhere=True)
        assert rig.lanes.held == 0

    play(scene)


def test_a_lost_task_is_sent_again_after_a_second_under_another_id(play):
    async def scene(rig: Rig) -> None:
        rig.offer()
        await rig.sent()
        first = rig.queue.take()
        await rig.until(lambda: len(rig.queue), looking=True)
        second = rig.queue.take()
        assert second["headers"]["id"] == f"{first['headers']['id']}~2"
        assert second["body"] == first["body"]
        assert (rig.tally.totals["batches_sent"], rig.tally.totals["resends"]) == (1, 1)

    play(scene)


def test_nothing_is_sent_again_while_the_queue_holds_as_many_tasks_as_there_are_lanes(play):
    async def scene(rig: Rig) -> None:
        rig.offer()
        await rig.sent()
        rig.client.lpush(rig.queue.key, "a task of another lane")
        [lane] = [lane for lane in rig.lanes if lane.flight]
        due_s = lane.check_s
        await rig.until(lambda: lane.check_s > due_s, looking=True)
        assert (len(rig.queue), rig.tally.totals["resends"]) == (2, 0)
        rig.client.lpop(rig.queue.key)
        await rig.until(lambda: len(rig.queue) == 2, looking=True)
        assert rig.tally.totals["resends"] == 1

    play(scene)


@pytest.mark.parametrize("stored", ["99.another", "1.another"])
def test_a_higher_epoch_or_the_same_number_of_another_process_supersedes(play, stored):
    async def scene(rig: Rig) -> None:
        rig.client.hset(rig.keys.shard(0), "epoch", stored)
        with pytest.raises(SupersededError, match=f"epoch {stored}"):
            await rig.sender.look(everywhere=True)

    play(scene)


def test_an_empty_redis_leads_to_a_new_epoch_and_what_is_held_is_sent_again_in_order(play):
    async def scene(rig: Rig) -> None:
        for _ in range(3):
            rig.offer()
        await rig.sent()
        before = rig.sender.epoch

        async def look_from_all_sides() -> None:
            await asyncio.gather(*(rig.sender.look(everywhere=True) for _ in range(4)))

        await look_from_all_sides()  # every one has its connection now
        rig.forget()
        # All find it at the same moment: one of them starts the epoch.
        await look_from_all_sides()
        assert rig.sender.epoch.number == before.number + 1
        assert rig.tally.totals["redis_went_back"] == 1
        await rig.sent()
        batch = rig.queue.take_batch()
        assert (batch.epoch, batch.prev) == (rig.sender.epoch, None)
        assert [(event.seq, event.id) for event in batch.events] == [(1, 1), (2, 2), (3, 3)]
        assert rig.client.hget(rig.keys.configurations, CONFIGURATION.version) == CONFIGURATION.canonical()
        assert rig.queue.commit(batch) == "committed"
        await rig.sender.look(everywhere=True)
        assert rig.lanes.held == 0

    play(scene)


def test_a_lane_that_stands_below_where_it_was_seen_leads_to_a_new_epoch(play):
    async def scene(rig: Rig) -> None:
        positions = []
        for _ in range(2):
            rig.offer()
            await rig.sent()
            batch = rig.queue.take_batch()
            rig.queue.commit(batch)
            await rig.sender.look(everywhere=True)
            positions.append(batch.to)
        rig.offer()
        await rig.sent()
        stale = rig.queue.take_batch()
        rig.client.hset(rig.keys.pool("trade"), lane_field(batch.lane), str(positions[0]))
        await rig.sender.look(everywhere=True)
        assert rig.sender.epoch.number == 2
        assert rig.queue.commit(stale) == "epoch"
        await rig.sent()
        again = rig.queue.take_batch()
        assert again.prev == positions[0]
        assert [event.id for event in again.events] == [3]
        assert rig.queue.commit(again) == "committed"

    play(scene)


def test_a_commit_that_comes_between_the_ledgers_answer_and_its_reading_is_no_step_back(play, monkeypatch):
    async def scene(rig: Rig) -> None:
        rig.offer()
        await rig.sent()
        batch = rig.queue.take_batch()
        read = rig.ledger.read

        async def read_slowly(asked) -> Reading:
            reading = await read(asked)
            rig.queue.commit(batch)
            rig.sender.on_notice(str(Notice(batch.lane, str(batch.epoch), batch.to)))
            return reading

        monkeypatch.setattr(rig.ledger, "read", read_slowly)
        await rig.sender.look(everywhere=True)
        assert (rig.sender.epoch.number, rig.tally.totals["redis_went_back"]) == (1, 0)
        assert rig.lanes.held == 0

    play(scene)


def test_a_claim_whose_answer_got_lost_does_not_supersede_its_own_process(play):
    async def scene(rig: Rig) -> None:
        rig.offer()
        await rig.sent()
        lost, *_ = await rig.ledger.claim(1, Layout(rig.lanes.router), CONFIGURATION)
        await rig.sender.look(everywhere=True)
        assert rig.sender.epoch.number == lost.number + 1

    play(scene)


def test_an_event_that_was_started_five_times_in_vain_is_condemned_through_the_fence(play):
    async def scene(rig: Rig) -> None:
        rig.offer()
        await rig.sent()
        batch = rig.queue.take_batch()
        rig.client.hset(rig.keys.starts(batch.lane), batch.identity, 5)
        await rig.until(lambda: rig.lanes.held == 0, looking=True)
        entries: Any = rig.client.xrange(rig.keys.deadletters)
        [(_, fields)] = entries
        letter = deadletters.unpack(fields[b"letter"])
        assert (letter.reason, letter.pool, letter.event) == ("condemned", "trade", batch.events[0])
        assert "5 runs" in letter.detail
        assert rig.queue.commit(batch) == "repeat", "a worker that wakes up now is too late"
        rig.offer()
        await rig.sent()
        assert rig.queue.take_batch().prev == batch.to

    play(scene)


def test_a_batch_that_was_started_three_times_in_vain_is_sent_as_two_halves(play):
    async def scene(rig: Rig) -> None:
        rig.offer()
        await rig.sent()
        for _ in range(4):
            rig.offer()
        rig.queue.commit(rig.queue.take_batch())
        await rig.sender.look(everywhere=True)
        await rig.sent()
        batch = rig.queue.take_batch()
        rig.client.hset(rig.keys.starts(batch.lane), batch.identity, 3)
        await rig.until(lambda: len(rig.queue), looking=True)
        first = rig.queue.take_batch()
        assert (first.prev, first.events) == (batch.prev, batch.events[:2])
        rig.queue.commit(first)
        await rig.sender.look(everywhere=True)
        await rig.sent()
        second = rig.queue.take_batch()
        assert (second.prev, second.to, second.events) == (first.to, batch.to, batch.events[2:])

    play(scene)


# With the whole service around it


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
        queue, outbox = Queue(client, service.settings), Outbox(service.settings)
        for number in (1, 2):
            asyncio.run(publish(nats_url, (f"{namespace}.x", TRADE % number)))
            batch = take(queue, number)
            if number == 1:
                client.client_kill_filter(_type="pubsub")
            queue.commit(batch)
            wait_for(lambda: held(service) == 0)
        wait_for(lambda: outbox.counters().get("committed") == 2)
        outbox.client.close()


def test_every_lane_is_asked_each_time_that_notices_are_subscribed_to(settings: Settings):
    asked: list[bool] = []

    class Cut:
        async def next(self) -> str:
            raise redis.ConnectionError

        close = AsyncMock()

    async def look(*, everywhere: bool = False) -> None:
        asked.append(everywhere)

    async def run() -> None:
        service = Service(settings)
        anything: Any = service
        anything._ledger.subscribe = AsyncMock(return_value=Cut())
        anything._sender.look = look
        for _ in range(2):
            await service._with_redis(service._listen)
        await service._ledger.close()

    asyncio.run(run())
    assert asked == [True, True]


def test_what_is_no_notice_is_passed_over_and_what_comes_with_it_is_not(nats_url, redis_url, namespace, tmp_path: Path):
    own = {"STRATEGIES_FILE": one_pool(tmp_path)}
    with ingest(nats_url, redis_url, namespace, **own) as service, redis.Redis.from_url(redis_url) as client:
        service.wait_ready()
        channel = Keys(namespace).notices
        wait_for(lambda: client.publish(channel, b"nowhere|0|1.a|core@1") == 1, 5, "ingest to listen")
        for rubbish in (b"\xff\xfe", b"", b"a|b|c|d"):
            assert client.publish(channel, rubbish) == 1
        wait_for(lambda: len(service.logged("not a notice")) == 3, 5)
        queue = Queue(client, service.settings)
        asyncio.run(publish(nats_url, (f"{namespace}.x", TRADE % 1)))
        wait_for(lambda: len(queue), 5)
        batch = queue.take_batch()
        client.publish(channel, f"a|b|c|d\n{Notice(batch.lane, str(batch.epoch), batch.to)}")
        wait_for(lambda: held(service) == 0, 5)
        assert len(service.logged("not a notice")) == 4
        assert service.process.returncode is None
