"""A stream read over a connection that loses, repeats, reorders and delays, from a server that forgets and restarts.

The cursor is the real one, and a seeded adversary picks what happens next, also in the middle of an opening. Whatever it
does, each frame that the stream holds comes, or is counted as forgotten: see `SimulatedReader` for what is checked then.
"""

import random
from collections.abc import Callable, Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.sources import resume
from tasks.events import Position
from tests.support.simulated_reader import PACING, SimulatedReader
from tests.support.simulated_stream import Sent, StoredMessage, Told, status


class World(SimulatedReader):
    """The reader, and all that may happen to it."""

    def __init__(self, dice: random.Random, *, shared: bool = False) -> None:
        super().__init__(shared)
        self.dice = dice
        #: What was not delivered and never will be: forgotten, or lost by the server.
        self.forgotten: set[int] = set()
        self.vanished: set[int] = set()

    # What is usual

    def publish(self) -> None:
        for _ in range(self.dice.choice((1, 1, 3, 12))):
            self.stream.publish(ours=not self.shared or self.dice.random() < 0.5)
        self.serve()

    def go_on(self) -> None:
        """Do for a while what is to be done, without delay."""
        for _ in range(self.dice.choice((1, 5, 20))):
            self.now_s += self.dice.choice((0.0, 0.5))
            self.serve()
            while self.wire:
                self.take()
            self.poll()

    def fill_up(self) -> None:
        self.has_room = self.dice.random() < 0.5

    # Faults of the connection

    def stall(self) -> None:
        """Let nothing come for a while."""
        self.now_s += self.dice.choice((1.0, 4.0, 31.0))

    def lose(self) -> None:
        if self.wire:
            self.wire.pop(self.dice.randrange(len(self.wire)))

    def repeat(self) -> None:
        if sent := [item for item in self.wire if isinstance(item, Sent)]:
            self.wire.insert(self.dice.randrange(len(self.wire) + 1), self.dice.choice(sent))

    def reorder(self) -> None:
        if self.wire:
            self.wire.insert(self.dice.randrange(len(self.wire)), self.wire.pop())

    def cut(self) -> None:
        """Lose the connection, and what is in transit but for what had arrived; it comes back, or is lost for a while."""
        if not self.connected or self.dice.random() < 0.5:
            self.connected = not self.connected
            self.connection += self.connected
            self.causes += self.connected
        if not self.connected:
            self.wire = self.wire[: self.dice.randrange(len(self.wire) + 1)]

    # Faults of the server

    def hang(self) -> None:
        self.answers = not self.answers

    def delete_consumer(self) -> None:
        for name in list(self.stream.consumers):
            del self.stream.consumers[name]
            if self.dice.random() < 0.5:
                self.wire.append(Told(name, status(409, "Consumer Deleted")))

    def forget_requests(self) -> None:
        """Take no notice of what was asked for, and say nothing."""
        for consumer in self.stream.consumers.values():
            consumer.requests.clear()

    def restart(self) -> None:
        """Restart the server with all that it had: its consumers were in its memory."""
        self.stream.consumers.clear()
        self.cut_off()

    def cut_off(self) -> None:
        self.wire = self.wire[: self.dice.randrange(len(self.wire) + 1)]
        self.connected, self.connection = True, self.connection + 1
        self.causes += 1

    # What the stream no longer has

    @property
    def is_settled(self) -> bool:
        """Whether all losses are noticed; what is forgotten before that, of what was lost, hides the loss."""
        return self.name not in self.spoiled

    @property
    def name(self) -> str:
        return self.position.source if self.position else ""

    @property
    def position(self) -> Position | None:
        """Where the process stands, or the next one will, which is starting."""
        return self.cursor.position or next(iter(self.stored.reached), None)

    def forget(self) -> None:
        if self.is_settled and (seqs := sorted(self.stream.messages)):
            gone = self.stream.forget(seqs[: self.dice.randrange(1, len(seqs) + 1)])
            self.forgotten |= self.unread(gone)

    def remove(self) -> None:
        """Remove a message in the middle."""
        if self.is_settled and self.stream.messages:
            gone = self.stream.forget([self.dice.choice(sorted(self.stream.messages))])
            self.forgotten |= self.unread(gone)

    def unread(self, gone: Iterable[StoredMessage]) -> set[int]:
        return {each.number for each in gone if each.ours} - set(self.delivered)

    def lose_tail(self) -> None:
        """Restart the server without its last messages; their numbers are given to others."""
        position, read, info = self.position, self.cursor.read or self.stored.read, self.stream.info
        lowest = info.first_seq - 1
        if position and (read is None or read.source != position.source):
            lowest = max(lowest, position.seq)  # nothing is known of what was read, so nothing can be noticed
        if not self.is_settled or lowest >= info.last_seq:
            return
        self.lose_after(self.dice.randrange(lowest, info.last_seq), self.dice.choice((0, 0, 5, 30)))

    def lose_after(self, kept_seq: int, later: int) -> None:
        """Restart the server without the messages after that number; so many others are stored before it is read."""
        self.vanished |= self.unread(self.stream.lose_tail(kept_seq))
        if any(source == self.name and seq > kept_seq for source, seq in self.seen):
            self.spoiled[self.name] = self.stream.published
        for _ in range(later):
            self.stream.publish()
        self.cut_off()

    def create_again(self) -> None:
        if self.is_settled:
            self.vanished |= self.unread(self.stream.create_again())
            self.cut_off()

    # Faults of Redis and of ingest

    def go_back(self, seq: int | None = None) -> None:
        """Read again from further back, as after Redis went back in time."""
        position, stream = self.cursor.position, self.cursor.stream
        if position and stream and not self.cursor.outdated:
            frontier = Position(position.source, self.dice.randrange(position.seq + 1) if seq is None else seq)
            assert self.cursor.tail_to_verify([frontier]) is None
            self.resume(resume.begin(stream, [frontier], "first"))

    def start_again(self, seq: int | None = None) -> None:
        """Start another process after this one has written how far it has read, and how far it is decided."""
        if position := self.cursor.position:
            frontier = Position(position.source, self.dice.randrange(position.seq + 1) if seq is None else seq)
            read = self.cursor.read or self.stored.read
            self.stored = resume.StoredOffsets([frontier], [position], [read] if read else [])
        self.start()

    # The end

    def heal(self) -> None:
        """From here on nothing goes wrong any more: all is read."""
        self.has_room = self.answers = True
        if not self.connected:
            self.cut_off()
        # What is forgotten shows when the next one comes, and this one gets lost in transit.
        self.stream.publish()
        self.serve()
        self.wire.clear()
        for _ in range(500):
            self.go_on()
            if self.is_done:
                return
        raise AssertionError(f"not all is read: {self.cursor.position} of {self.stream.info}")

    @property
    def is_done(self) -> bool:
        """Whether all is read and counted."""
        held = {self.stream.messages[seq].number for seq in self.stream.ours}
        return held <= set(self.delivered) and self.is_settled and not self.cursor.gaps.count

    def check_end(self) -> None:
        """Whatever was stored came, or was forgotten or lost by then; and the server was not asked all the time."""
        delivered = set(self.delivered)
        # Some had been sent when they were forgotten.
        self.forgotten -= delivered
        assert delivered | self.forgotten | self.vanished == self.stream.frames
        assert self.steps["reopen"] <= self.causes + self.now_s / PACING.pause_s
        for action in ("check", "compare"):
            assert self.steps.get(action, 0) <= self.causes + self.now_s / PACING.check_s


CALM = ("publish", "poll", "poll", "take", "take", "take", "serve", "go_on", "fill_up")
FAULTS = (
    "stall",
    "lose",
    "repeat",
    "reorder",
    "cut",
    "hang",
    "delete_consumer",
    "forget_requests",
    "restart",
    "forget",
    "remove",
)
EPOCHS = ("lose_tail", "create_again", "go_back", "start_again")


def played(seed: int, kinds: tuple[str, ...], faults: float, *, shared: bool = False) -> World:
    """Return a world in which this share of the actions were faults, after all is well again."""
    dice = random.Random(seed)
    world = World(dice, shared=shared)
    for _ in range(400):
        getattr(world, dice.choice(kinds if dice.random() < faults else CALM))()
    world.heal()
    world.check_end()
    return world


SEEDS = st.integers(0, 2**32)
RATES = st.sampled_from((0.02, 0.1, 0.4))


@settings(max_examples=150)
@given(SEEDS, RATES)
def test_each_frame_comes_once_and_in_order_or_is_counted_as_forgotten(seed: int, faults: float):
    world = played(seed, FAULTS, faults)
    assert world.delivered == sorted(set(world.delivered))
    assert world.counted == len(world.forgotten)


@settings(max_examples=200)
@given(SEEDS, RATES)
def test_under_a_name_a_number_is_one_frame_whatever_goes_wrong(seed: int, faults: float):
    played(seed, (*FAULTS, *EPOCHS), faults)


@settings(max_examples=100)
@given(SEEDS, RATES)
@example(
    1345217, 0.1
)  # it forgets after it was asked, and what was skipped meanwhile is noticed before the answer comes
def test_in_a_shared_stream_at_least_what_is_forgotten_is_counted(seed: int, faults: float):
    # Of what is removed in the middle nobody knows whose it was.
    world = played(seed, tuple(each for each in FAULTS if each != "remove"), faults, shared=True)
    assert world.delivered == sorted(set(world.delivered))
    assert world.counted >= len(world.forgotten)


@settings(max_examples=50)
@given(SEEDS, st.booleans())
def test_while_nothing_goes_wrong_one_consumer_is_opened_and_all_is_read(seed: int, shared: bool):  # noqa: FBT001 drawn
    world = World(random.Random(seed), shared=shared)
    for _ in range(100):
        getattr(world, world.dice.choice(("publish", "go_on", "fill_up")))()
    world.has_room = True
    while not world.is_done:
        world.go_on()
    world.check_end()
    assert (world.steps["reopen"], world.counted) == (1, 0)


@pytest.mark.parametrize("again", [World.go_back, World.start_again])
def test_a_loss_is_noticed_while_frames_before_it_are_read_again(again: Callable[[World, int], None]):
    world = World(random.Random(1))
    for _ in range(30):
        world.stream.publish()
    world.until(lambda: len(world.delivered) == 30)
    again(world, 5)
    world.until(lambda: len(world.delivered) == 34)
    # When: what is behind the frames that are read again is lost, and its numbers are given to others.
    world.lose_after(20, later=20)
    world.heal()
    world.check_end()
    assert world.name.endswith(".1")
