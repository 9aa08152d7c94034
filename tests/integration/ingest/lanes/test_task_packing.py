"""The sender where there are fewer worker processes than lanes; the test plays the workers."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ingest.lanes import task_packing
from ingest.lanes.contention import MAX_HOLD_BACK_S
from ingest.lanes.lane import Lane
from ingest.lanes.task_packing import FULL_EVENTS, Workforce
from tasks.events import AnyEvent
from tasks.protocol.batches import Batch
from tasks.settings import Settings
from tests.support.sending import Rig, begun

PARTITIONS = 6


class Scene(Rig):
    """A sender whose first epoch has begun, to one process."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, PARTITIONS)
        self.workforce = Workforce([({"trade"}, 1)])
        routes = self.lanes.router.lanes_of
        by_lane = {routes("spot", f"S{n}USDT", "trade")[0].partition: f"S{n}USDT" for n in range(100)}
        self._symbols = [by_lane[partition] for partition in range(PARTITIONS)]

    def fill(self, partition: int, events: int = 1) -> Lane:
        for _ in range(events):
            self.offer(self._symbols[partition])
        [lane] = [lane for lane in self.lanes if lane.id.partition == partition]
        return lane

    async def next_task(self, *, looking: bool = False) -> tuple[Batch[AnyEvent], ...]:
        """Wait for a task, and take the oldest one."""
        await self.until(lambda: len(self.queue), looking=looking)
        return self.queue.take_batches()

    async def commit(self, *batches: Batch[AnyEvent]) -> None:
        """Commit batches, and let the sender know of it."""
        for batch in batches:
            assert self.queue.commit(batch) == "committed"
        await self.sender.poll(all_lanes=True)


@pytest.fixture
async def rig(settings: Settings) -> AsyncIterator[Scene]:
    async with begun(Scene(settings)) as scene:
        yield scene


def lanes(task: tuple[Batch[AnyEvent], ...]) -> list[int]:
    return [batch.partition for batch in task]


async def test_lanes_that_wait_for_a_process_share_the_next_task_oldest_first(rig: Scene):
    rig.fill(0)
    first = await rig.next_task()
    for partition in (4, 2, 0, 3):
        rig.fill(partition)
    rig.fill(4)
    await rig.commit(*first)
    second = await rig.next_task()
    assert (lanes(first), lanes(second)) == ([0], [4, 2, 0, 3])
    assert [len(batch.events) for batch in second] == [2, 1, 1, 1]
    assert (len(rig.queue), rig.counters.totals.of("batches_sent")) == (0, 5)
    await rig.commit(*second)
    assert rig.lanes.held == 0


async def test_room_is_looked_for_when_there_may_be_some_and_not_at_each_event(
    rig: Scene, monkeypatch: pytest.MonkeyPatch
):
    looks = 0
    plan_tasks = task_packing.plan_tasks

    def counted(*arguments: Any) -> list[list[Lane]]:
        nonlocal looks
        looks += 1
        return plan_tasks(*arguments)

    monkeypatch.setattr(task_packing, "plan_tasks", counted)
    rig.fill(0)
    first = await rig.next_task()
    for _ in range(FULL_EVENTS - 1):
        rig.fill(1)
        await asyncio.sleep(0)  # what the sender has put off until now
    assert looks == 2
    rig.fill(1)
    second = await rig.next_task()
    assert (lanes(first), lanes(second), looks) == ([0], [1], 3)


async def test_a_task_keeps_its_place_until_all_of_its_batches_are_committed(rig: Scene):
    rig.fill(0)
    rig.fill(1)
    task = await rig.next_task()
    assert lanes(task) == [0, 1]
    waiting = rig.fill(2)
    await rig.commit(task[0])
    await asyncio.sleep(0)  # what the sender has put off until now
    assert (rig.lanes.held, waiting.flight) == (2, [])
    await rig.commit(task[1])
    assert lanes(await rig.next_task()) == [2]


async def test_what_was_lost_with_its_task_is_sent_again_each_batch_alone(rig: Scene):
    for partition in (0, 1, 2):
        rig.fill(partition)
    lost = await rig.next_task()
    assert lanes(lost) == [0, 1, 2]
    await rig.until(lambda: len(rig.queue) == 3, looking=True)
    again = [rig.queue.take() for _ in range(3)]
    assert {message["headers"]["id"] for message in again} == {f"{batch.task_id}~2" for batch in lost}
    assert (rig.counters.totals.of("batches_sent"), rig.counters.totals.of("resends")) == (3, 3)


async def test_the_place_of_a_lost_task_is_free_again_when_it_is_overdue(rig: Scene):
    lane = rig.fill(0)
    await rig.next_task()
    due_s = lane.check_s
    waiting = rig.fill(1)
    await rig.until(lambda: waiting.flight, looking=True)
    assert waiting.sent_s[0] >= due_s
    await rig.until(lambda: len(rig.queue) == 2, looking=True)
    assert sorted(lanes(rig.queue.take_batches() + rig.queue.take_batches())) == [0, 1]


async def test_a_lane_with_many_events_has_its_task_queued_behind_a_running_one(rig: Scene):
    """One task is run and one is queued; a lane with few events waits."""

    rig.fill(0)
    await rig.next_task()
    few = rig.fill(1, 99)
    rig.fill(2, 100)
    assert lanes(await rig.next_task()) == [2]
    much = rig.fill(3, 100)
    await asyncio.sleep(0)  # what the sender has put off until now
    assert (few.flight, much.flight) == ([], []), "one task is run, and one is at hand"


async def test_a_small_task_waits_for_another_one_but_for_a_moment_only(rig: Scene):
    rig.workforce = Workforce([({"trade"}, 2)])
    rig.fill(0)
    await rig.next_task()
    filled_s = time.monotonic()
    waiting = rig.fill(1)
    assert lanes(await rig.next_task()) == [1]
    assert waiting.sent_s[0] - filled_s >= MAX_HOLD_BACK_S, "the first one is to be measured alone"


async def test_tasks_of_an_earlier_epoch_are_nobodys_company(rig: Scene):
    rig.workforce = Workforce([({"trade"}, 2)])
    rig.fill(0)
    await rig.next_task()
    await rig.sender.begin()
    await rig.commit(*await rig.next_task())  # alone, which is how long a task takes
    rig.fill(0)
    await rig.next_task()
    beside = rig.fill(1)
    await asyncio.sleep(0)  # what the sender has put off until now
    assert beside.flight, "the next thing to be measured"


async def test_every_lane_has_a_task_of_its_own_where_nobody_knows_of_workers(rig: Scene):
    rig.workforce = None
    for partition in range(PARTITIONS):
        rig.fill(partition)
    await rig.sent(PARTITIONS)
    assert [lanes(rig.queue.take_batches()) for _ in range(PARTITIONS)] == [[n] for n in range(PARTITIONS)]
