"""The sender over a real queue and a real ledger; the test plays the workers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ingest.lanes.layout import Layout
from ingest.ledger import LanePositions
from tasks.ledger import lane_field
from tasks.ledger.lease import SupersededError
from tasks.protocol import dead_letters
from tasks.protocol.notice import Notice
from tasks.settings import Settings
from tests.support.sending import CONFIGURATION, Rig, begun


@pytest.fixture
async def rig(settings: Settings) -> AsyncIterator[Rig]:
    """A rig whose first epoch has begun."""
    async with begun(Rig(settings)) as rig:
        yield rig


async def test_a_commit_whose_notice_was_lost_is_found_in_the_ledger(rig: Rig):
    """Nothing is sent again."""

    rig.offer()
    await rig.sent()
    rig.queue.commit(rig.queue.take_batch())
    rig.offer()
    await rig.until(lambda: rig.lanes.held == 1, looking=True)
    await rig.sent()
    assert (rig.counters.totals.of("resends"), rig.counters.totals.of("committed")) == (0, 1)


async def test_a_look_at_all_lanes_finds_every_lost_notice_at_once(rig: Rig):
    rig.offer("BTCUSDT")
    rig.offer("ETHUSDT")
    await rig.sent(2)
    for _ in range(2):
        rig.queue.commit(rig.queue.take_batch())
    await rig.sender.poll(all_lanes=True)
    assert rig.lanes.held == 0


async def test_a_lost_task_is_sent_again_after_a_second_under_another_id(rig: Rig):
    rig.offer()
    await rig.sent()
    first = rig.queue.take()
    await rig.until(lambda: len(rig.queue), looking=True)
    second = rig.queue.take()
    assert second["headers"]["id"] == f"{first['headers']['id']}~2"
    assert second["body"] == first["body"]
    assert (rig.counters.totals.of("batches_sent"), rig.counters.totals.of("resends")) == (1, 1)


async def test_nothing_is_resent_while_the_queue_holds_a_task_for_each_lane(rig: Rig):
    """Only the number of tasks counts, not whose they are."""

    rig.offer()
    await rig.sent()
    rig.client.lpush(rig.queue.key, "a task of another lane")
    [lane] = [lane for lane in rig.lanes if lane.flight]
    due_s = lane.check_s
    await rig.until(lambda: lane.check_s > due_s, looking=True)
    assert (len(rig.queue), rig.counters.totals.of("resends")) == (2, 0)
    rig.client.lpop(rig.queue.key)
    await rig.until(lambda: len(rig.queue) == 2, looking=True)
    assert rig.counters.totals.of("resends") == 1


@pytest.mark.parametrize("stored", ["99.another", "1.another"])
async def test_a_higher_epoch_or_the_same_number_of_another_process_supersedes(rig: Rig, stored):
    rig.client.hset(rig.keys.shard(0), "epoch", stored)
    with pytest.raises(SupersededError, match=f"epoch {stored}"):
        await rig.sender.poll(all_lanes=True)


async def test_a_shard_without_lanes_is_superseded_too(settings: Settings):
    async with begun(Rig(settings.model_copy(update={"ingest_shard": "1/2"}), partitions=1)) as idle:
        assert not list(idle.lanes)
        idle.client.hset(idle.keys.shard(1), "epoch", "99.another")
        with pytest.raises(SupersededError, match=r"epoch 99\.another"):
            await idle.sender.poll(all_lanes=True)


async def test_an_empty_redis_starts_a_new_epoch_and_what_is_held_is_resent(rig: Rig):
    """Held events are sent again in their order."""

    for _ in range(3):
        rig.offer()
    await rig.sent()
    before = rig.sender.epoch

    async def look_from_all_sides() -> None:
        await asyncio.gather(*(rig.sender.poll(all_lanes=True) for _ in range(4)))

    await look_from_all_sides()  # every one has its connection now
    rig.forget()
    # All find it at the same moment: one of them starts the epoch.
    await look_from_all_sides()
    assert rig.sender.epoch.number == before.number + 1
    assert rig.counters.totals.of("redis_went_back") == 1
    await rig.sent()
    batch = rig.queue.take_batch()
    assert (batch.epoch, batch.prev) == (rig.sender.epoch, None)
    assert [(event.seq, event.id) for event in batch.events] == [(1, 1), (2, 2), (3, 3)]
    assert rig.client.hget(rig.keys.configurations, CONFIGURATION.version) == CONFIGURATION.canonical()
    assert rig.queue.commit(batch) == "committed"
    await rig.sender.poll(all_lanes=True)
    assert rig.lanes.held == 0


async def test_a_lane_that_stands_below_where_it_was_seen_leads_to_a_new_epoch(rig: Rig):
    positions = []
    for _ in range(2):
        rig.offer()
        await rig.sent()
        batch = rig.queue.take_batch()
        rig.queue.commit(batch)
        await rig.sender.poll(all_lanes=True)
        positions.append(batch.to)
    rig.offer()
    await rig.sent()
    stale = rig.queue.take_batch()
    rig.client.hset(rig.keys.pool("trade"), lane_field(batch.lane), str(positions[0]))
    await rig.sender.poll(all_lanes=True)
    assert rig.sender.epoch.number == 2
    assert rig.queue.commit(stale) == "epoch"
    await rig.sent()
    again = rig.queue.take_batch()
    assert again.prev == positions[0]
    assert [event.id for event in again.events] == [3]
    assert rig.queue.commit(again) == "committed"


async def test_a_position_to_which_nothing_was_sent_is_named_and_not_believed(rig: Rig):
    """A byte of it has changed, and now it claims that the events in flight are committed: they are applied all the same."""
    rig.offer()
    rig.offer()
    await rig.sent()
    first = rig.queue.take_batch()
    rig.client.hset(rig.keys.pool("trade"), lane_field(first.lane), f"{first.to.source}@{first.to.seq + 4}")
    assert rig.queue.commit(first) == "position"
    await rig.sender.poll(all_lanes=True)
    [finding] = rig.sender._ledger.damage.findings()
    assert finding.what == f"key {rig.keys.pool('trade')} {lane_field(first.lane)}"
    assert f"{first.to.source}@{first.to.seq + 4}" in finding.says
    assert (rig.sender.epoch.number, rig.lanes.held) == (2, 2)
    await rig.sent()
    again = rig.queue.take_batch()
    assert [event.id for event in again.events] == [event.id for event in first.events]
    assert rig.queue.commit(again) == "committed"
    await rig.sender.poll(all_lanes=True)
    assert (rig.sender.epoch.number, rig.lanes.held) == (2, 0)


async def test_a_notice_of_what_was_not_sent_is_not_believed(rig: Rig):
    rig.offer()
    await rig.sent()
    batch = rig.queue.take_batch()
    rig.sender.on_notice(str(Notice(batch.lane, str(batch.epoch), msgspec.structs.replace(batch.to, seq=9))))
    assert rig.lanes.held == 1


async def test_a_commit_between_the_ledgers_answer_and_its_use_is_no_step_back(rig: Rig, monkeypatch):
    rig.offer()
    await rig.sent()
    batch = rig.queue.take_batch()
    read = rig.ledger.read

    async def read_slowly(asked) -> LanePositions:
        reading = await read(asked)
        rig.queue.commit(batch)
        rig.sender.on_notice(str(Notice(batch.lane, str(batch.epoch), batch.to)))
        return reading

    monkeypatch.setattr(rig.ledger, "read", read_slowly)
    await rig.sender.poll(all_lanes=True)
    assert (rig.sender.epoch.number, rig.counters.totals.of("redis_went_back")) == (1, 0)
    assert rig.lanes.held == 0


async def test_a_claim_whose_answer_got_lost_does_not_supersede_its_own_process(rig: Rig):
    rig.offer()
    await rig.sent()
    lost, *_ = await rig.ledger.claim(1, Layout(rig.lanes.router), CONFIGURATION)
    await rig.sender.poll(all_lanes=True)
    assert rig.sender.epoch.number == lost.number + 1


async def test_an_event_started_five_times_is_quarantined_via_the_fence(rig: Rig):
    rig.offer()
    await rig.sent()
    batch = rig.queue.take_batch()
    rig.client.hset(rig.keys.starts(batch.lane), batch.identity, 5)
    await rig.until(lambda: rig.lanes.held == 0, looking=True)
    entries: Any = rig.client.xrange(rig.keys.deadletters)
    [(_, fields)] = entries
    letter = dead_letters.unpack(fields[b"letter"])
    assert (letter.reason, letter.pool, letter.event) == ("condemned", "trade", batch.events[0])
    assert "5 runs" in letter.detail
    assert rig.queue.commit(batch) == "repeat", "a worker that wakes up now is too late"
    rig.offer()
    await rig.sent()
    assert rig.queue.take_batch().prev == batch.to


async def test_a_batch_started_three_times_is_sent_half_by_half(rig: Rig):
    rig.offer()
    await rig.sent()
    for _ in range(4):
        rig.offer()
    rig.queue.commit(rig.queue.take_batch())
    await rig.sender.poll(all_lanes=True)
    await rig.sent()
    batch = rig.queue.take_batch()
    rig.client.hset(rig.keys.starts(batch.lane), batch.identity, 3)
    await rig.until(lambda: len(rig.queue), looking=True)
    first = rig.queue.take_batch()
    assert (first.prev, first.events) == (batch.prev, batch.events[:2])
    rig.queue.commit(first)
    await rig.sender.poll(all_lanes=True)
    await rig.sent()
    second = rig.queue.take_batch()
    assert (second.prev, second.events) == (first.to, batch.events[2:3]), "half of what is left"
    rig.queue.commit(second)
    await rig.sender.poll(all_lanes=True)
    await rig.sent()
    third = rig.queue.take_batch()
    assert (third.prev, third.to, third.events) == (second.to, batch.to, batch.events[3:])
