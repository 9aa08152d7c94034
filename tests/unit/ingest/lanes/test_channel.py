"""Lanes over a queue that loses, repeats and reorders, with workers that die and wake up late.

The sender is the real state machine, and shares its tasks among lanes as the real one does; the ledger's fence and the
workers are modelled in a few lines, and a seeded adversary picks what happens next. Whatever it does, every event is
applied once and, within its lane, in order.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.lanes import task_packing
from ingest.lanes.lane import Lane, LaneEvent
from tasks.events import Position
from tasks.protocol.batches import Batch, Epoch, max_starts
from tasks.protocol.routing import LaneId

SOURCE, EPOCH = "core-1.aa", Epoch(1, "aa")
COPY_LIFE_S = 20.0
#: Batches of different lanes that travel together.
Carried = Sequence[Batch[msgspec.Raw]]


@dataclass
class World:
    """Lanes of a pool, a queue, a ledger, and workers in the middle of a run."""

    dice: random.Random
    count: int = 1
    #: How many worker processes the sender knows of; so many tasks are in flight, or a few more.
    processes: int | None = None
    #: Whether every run ends within its limit.
    healthy: bool = False
    now_s: float = 0.0
    offered: int = 0
    #: How many tasks were sent, and how many of them carried several batches.
    sent: int = 0
    shared: int = 0
    queue: list[Carried] = field(default_factory=list)
    running: list[tuple[float, Carried]] = field(default_factory=list)
    notices: list[tuple[LaneId, Position]] = field(default_factory=list)
    starts: dict[tuple[LaneId, str], int] = field(default_factory=dict)
    quarantined: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lanes = {each: Lane(each) for each in (LaneId("trade", number) for number in range(self.count))}
        for lane in self.lanes.values():
            lane.begin(SOURCE, None, [])
        self.positions: dict[LaneId, Position | None] = dict.fromkeys(self.lanes)
        self.applied: dict[LaneId, list[int]] = {each: [] for each in self.lanes}

    @property
    def held(self) -> int:
        return sum(lane.held for lane in self.lanes.values())

    @property
    def done(self) -> list[int]:
        return [seq for applied in self.applied.values() for seq in applied]

    # The sender

    def offer(self) -> None:
        for _ in range(self.dice.choice((1, 1, 3, 20))):
            self.offered += 1
            packed = msgspec.Raw(str(self.offered).encode())
            lane = self.dice.choice(list(self.lanes.values()))
            lane.offer(LaneEvent(self.offered, packed, 8, "trade", ("spot", "X"), 0, 0), 10**9)
        self.pump()

    def pump(self) -> None:
        ready = [lane for lane in self.lanes.values() if lane.waiting and not lane.flight]
        workforce = task_packing.Workforce([({"trade"}, self.processes)]) if self.processes else None
        for lanes in task_packing.plan_tasks({"trade": list(self.lanes.values())}, ready, workforce, self.now_s):
            assert all(lane.launch() for lane in lanes)
            self.send(lanes)

    def send(self, lanes: Sequence[Lane]) -> None:
        self.sent += 1
        self.shared += len(lanes) > 1
        self.queue.append([lane.batch(0, EPOCH) for lane in lanes])
        for lane in lanes:
            lane.sent(self.now_s, self.sent)

    def hear(self) -> None:
        if self.notices:
            name, position = self.notices.pop(self.dice.randrange(len(self.notices)))
            self.lanes[name].settle(position, self.now_s)
            self.pump()

    def poll(self) -> None:
        self.now_s += self.dice.choice((0.1, 1.0, 5.0))
        while self.healthy and self.running and self.now_s - self.running[0][0] > COPY_LIFE_S - 5:
            self.finish(0)
        for lane in self.lanes.values():
            if lane.overdue(self.now_s):
                self.ask(lane)
        self.pump()

    def ask(self, lane: Lane) -> None:
        position = self.positions[lane.id]
        if position and lane.settle(position, self.now_s):
            return
        batch = lane.batch(0, EPOCH)
        starts, full = self.starts.get((lane.id, batch.identity), 0), len(self.queue) > 4 * self.count
        match lane.decide(starts, self.now_s, copy_life_s=COPY_LIFE_S, queue_full=full):
            case "resend":
                self.send([lane])
            case "quarantine":
                self.quarantined.append(batch.to.seq)
                self.positions[lane.id] = batch.to
                lane.settle(batch.to, self.now_s)

    # The queue

    def lose(self) -> None:
        if self.queue:
            self.queue.pop(self.dice.randrange(len(self.queue)))

    def repeat(self) -> None:
        if self.queue:
            self.queue.append(self.dice.choice(self.queue))

    def lose_notice(self) -> None:
        if self.notices:
            self.notices.pop()

    # The workers

    def start(self) -> None:
        if self.queue:
            carried = self.queue.pop(self.dice.randrange(len(self.queue)))
            wanted = [batch for batch in carried if self.begin(batch)]
            if wanted:
                self.running.append((self.now_s, wanted))

    def begin(self, batch: Batch[msgspec.Raw]) -> bool:
        run, position = (batch.lane, batch.identity), self.positions[batch.lane]
        self.starts[run] = self.starts.get(run, 0) + 1
        if position and position.covers(batch.to):
            self.notices.append((batch.lane, position))
        elif position == batch.prev and self.starts[run] <= max_starts(len(batch.events)):
            return True
        self.starts[run] -= 1
        return False

    def finish(self, which: int | None = None) -> None:
        if not self.running:
            return
        started_s, carried = self.running.pop(self.dice.randrange(len(self.running)) if which is None else which)
        if self.now_s - started_s > COPY_LIFE_S:
            return  # its timer ended it, which is a death of all that it carried
        for batch in carried:
            self.commit(batch)

    def commit(self, batch: Batch[msgspec.Raw]) -> None:
        if self.positions[batch.lane] != batch.prev:
            self.starts[batch.lane, batch.identity] -= 1
            return
        self.applied[batch.lane] += [int(bytes(packed)) for packed in batch.events]
        self.positions[batch.lane] = batch.to
        self.notices.append((batch.lane, batch.to))

    def kill(self) -> None:
        if self.running:
            self.running.pop(self.dice.randrange(len(self.running)))

    def heal(self) -> None:
        """From here on nothing goes wrong any more."""
        for _ in range(10_000):
            if not self.held:
                return
            self.poll()
            self.work()

    def work(self, poison: int = 0) -> None:
        """Do all that is to be done; an event may end the worker that gets it."""
        while self.queue:
            self.start()
        deadly = str(poison).encode()
        self.running = [
            run for run in self.running if not any(deadly == bytes(packed) for each in run[1] for packed in each.events)
        ]
        while self.running:
            self.finish()
        while self.notices:
            self.hear()


CALM = ("offer", "hear", "poll", "start", "finish")
FAULTS = ("lose", "repeat", "lose_notice", "kill")
#: How many lanes, and how many processes the sender knows of.
POOLS = st.tuples(st.integers(1, 6), st.none() | st.integers(1, 3))


@settings(max_examples=300)
@given(st.integers(0, 2**32), POOLS, st.sampled_from((0.0, 0.1, 0.5)))
def test_every_event_is_applied_once_and_in_order_whatever_happens(
    seed: int, pool: tuple[int, int | None], faults: float
):
    """This holds whatever the queue and the workers do."""
    dice = random.Random(seed)
    world = World(dice, *pool)
    for _ in range(400):
        getattr(world, dice.choice(FAULTS if dice.random() < faults else CALM))()
    world.heal()
    # Then: nothing is left, nothing twice, nothing out of order; what is missing was quarantined, and said so.
    assert world.held == 0
    assert sorted([*world.quarantined, *world.done]) == list(range(1, world.offered + 1))
    assert all(applied == sorted(applied) for applied in world.applied.values())


@settings(max_examples=100)
@given(st.integers(0, 2**32), POOLS)
def test_nothing_is_quarantined_when_every_run_ends_in_time(seed: int, pool: tuple[int, int | None]):
    dice = random.Random(seed)
    world = World(dice, *pool, healthy=True)
    for _ in range(400):
        getattr(world, dice.choice((*CALM, "lose", "repeat", "lose_notice")))()
    world.heal()
    assert sorted(world.done) == list(range(1, world.offered + 1))
    assert world.quarantined == []


@settings(max_examples=50)
@given(st.integers(0, 2**32), POOLS, st.integers(1, 30))
def test_an_event_that_ends_every_worker_is_found_and_alone_quarantined(
    seed: int, pool: tuple[int, int | None], poison: int
):
    """It is found by halving batches."""
    world = World(random.Random(seed), *pool)
    while world.offered < 40:
        world.offer()
    for _ in range(5_000):
        if not world.held:
            break
        world.poll()
        world.work(poison)
    assert world.quarantined == [poison]
    assert sorted(world.done) == [seq for seq in range(1, world.offered + 1) if seq != poison]


def test_lanes_share_tasks_with_few_processes_but_not_with_unknown_ones():
    shared = {}
    for processes in (1, 3, None):
        world = World(random.Random(7), 6, processes)
        for _ in range(100):
            world.offer()
            world.work()
        shared[processes] = world.shared
    assert min(shared[1], shared[3]) > 20
    assert shared[None] == 0
