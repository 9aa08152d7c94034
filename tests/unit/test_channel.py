"""The lane over a queue that loses, repeats and reorders, with workers that die and wake up late.

The sender is the real state machine; the ledger's fence and the workers are modelled in a few lines, and a seeded
adversary picks what happens next. Whatever it does, every event is applied once and in order.
"""

import random
from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.lane import Item, Lane
from tasks.batches import Batch, Epoch, max_starts
from tasks.events import Position
from tasks.routing import LaneId

SOURCE, EPOCH = "core-1.aa", Epoch(1, "aa")
COPY_LIFE_S = 20.0


@dataclass
class World:
    """A lane, a queue, a ledger, and workers in the middle of a run."""

    dice: random.Random
    lane: Lane = field(default_factory=lambda: Lane(LaneId("trade", 0)))
    now_s: float = 0.0
    #: Whether every run ends within its limit.
    healthy: bool = False
    offered: int = 0
    queue: list[Batch[msgspec.Raw]] = field(default_factory=list)
    running: list[tuple[float, Batch[msgspec.Raw]]] = field(default_factory=list)
    notices: list[Position] = field(default_factory=list)
    position: Position | None = None
    starts: dict[str, int] = field(default_factory=dict)
    applied: list[int] = field(default_factory=list)
    condemned: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lane.begin(SOURCE, None, [])

    # The sender

    def offer(self) -> None:
        for _ in range(self.dice.choice((1, 1, 3, 20))):
            self.offered += 1
            packed = str(self.offered).encode()
            self.lane.offer(Item(self.offered, msgspec.Raw(packed), len(packed), "trade", ("spot", "X"), 0, 0), 10**9)
        self.pump()

    def pump(self) -> None:
        if self.lane.launch():
            self.send()

    def send(self) -> None:
        self.queue.append(self.lane.batch(0, EPOCH))
        self.lane.sent(self.now_s)

    def hear(self) -> None:
        if self.notices:
            self.lane.settle(self.notices.pop(self.dice.randrange(len(self.notices))), self.now_s)
            self.pump()

    def look(self) -> None:
        self.now_s += self.dice.choice((0.1, 1.0, 5.0))
        while self.healthy and self.running and self.now_s - self.running[0][0] > COPY_LIFE_S - 5:
            self.finish(0)
        if not self.lane.overdue(self.now_s):
            return
        if self.position and self.lane.settle(self.position, self.now_s):
            self.pump()
            return
        batch = self.lane.batch(0, EPOCH)
        match self.lane.judge(
            self.starts.get(batch.identity, 0), self.now_s, copy_life_s=COPY_LIFE_S, queue_full=len(self.queue) > 4
        ):
            case "resend":
                self.send()
            case "condemn":
                self.condemned.append(batch.to.seq)
                self.position = batch.to
                self.lane.settle(batch.to, self.now_s)
                self.pump()

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
        if not self.queue:
            return
        batch = self.queue.pop(self.dice.randrange(len(self.queue)))
        self.starts[batch.identity] = self.starts.get(batch.identity, 0) + 1
        if self.position and self.position.covers(batch.to):
            self.notices.append(self.position)
        elif self.position == batch.prev and self.starts[batch.identity] <= max_starts(len(batch.events)):
            self.running.append((self.now_s, batch))
            return
        self.starts[batch.identity] -= 1

    def finish(self, which: int | None = None) -> None:
        if not self.running:
            return
        started_s, batch = self.running.pop(self.dice.randrange(len(self.running)) if which is None else which)
        if self.now_s - started_s > COPY_LIFE_S:
            return  # its timer ended it, which is a death
        if self.position != batch.prev:
            self.starts[batch.identity] -= 1
            return
        self.applied += [int(bytes(packed)) for packed in batch.events]
        self.position = batch.to
        self.notices.append(batch.to)

    def kill(self) -> None:
        if self.running:
            self.running.pop(self.dice.randrange(len(self.running)))

    def heal(self) -> None:
        """From here on nothing goes wrong any more."""
        for _ in range(10_000):
            if not self.lane.held:
                return
            self.look()
            while self.queue:
                self.start()
            while self.running:
                self.finish()
            while self.notices:
                self.hear()


CALM = ("offer", "hear", "look", "start", "finish")
FAULTS = ("lose", "repeat", "lose_notice", "kill")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((0.0, 0.1, 0.5)))
def test_every_event_is_applied_once_and_in_order_whatever_the_queue_and_the_workers_do(seed: int, faults: float):
    dice = random.Random(seed)
    world = World(dice)
    for _ in range(400):
        getattr(world, dice.choice(FAULTS if dice.random() < faults else CALM))()
    world.heal()
    # Then: nothing is left, nothing twice, nothing out of order; what is missing was condemned, and said so.
    assert world.lane.held == 0
    assert sorted(world.applied + world.condemned) == list(range(1, world.offered + 1))
    assert world.applied == sorted(world.applied)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_is_condemned_when_every_run_ends_in_time(seed: int):
    dice = random.Random(seed)
    world = World(dice, healthy=True)
    for _ in range(400):
        getattr(world, dice.choice((*CALM, "lose", "repeat", "lose_notice")))()
    world.heal()
    assert world.applied == list(range(1, world.offered + 1))
    assert world.condemned == []


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_an_event_that_ends_every_worker_is_found_by_halving_and_alone_condemned(seed: int, poison: int):
    world = World(random.Random(seed))
    while world.offered < 40:
        world.offer()
    for _ in range(5_000):
        world.look()
        while world.queue:
            world.start()
        world.running = [run for run in world.running if str(poison).encode() not in map(bytes, run[1].events)]
        while world.running:
            world.finish()
        while world.notices:
            world.hear()
    assert world.condemned == [poison]
    assert world.applied == [seq for seq in range(1, world.offered + 1) if seq != poison]
