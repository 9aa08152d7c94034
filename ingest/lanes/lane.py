"""One lane: the sender's half of a stop-and-wait channel. Pure: time is an argument, in monotonic seconds.

    waiting ──launch──► in flight ──settle (its commit is known)──► gone
                           │  ▲
                           └──┘ resend, or halve, when no commit is known in time

At most one batch is in flight. What comes in meanwhile waits, and becomes the next batch: so a batch is one event
when it is quiet and hundreds when it is busy.
"""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import takewhile
from typing import Literal

import msgspec

from ingest.lanes.rtt_estimator import TIMEOUT_BOUNDS, RttEstimator, TimeoutBounds
from tasks.events import Kind, Position
from tasks.frames.model import MAX_SYMBOLS
from tasks.protocol.batches import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Batch, Epoch, max_starts
from tasks.protocol.routing import LaneId

MAX_COPIES = 3

DropReason = Literal["conflated", "overflow"]
Decision = Literal["resend", "wait", "quarantine"]


class LaneEvent(msgspec.Struct, frozen=True, gc=False):
    """One event held by a lane, packed."""

    seq: int
    packed: msgspec.Raw
    #: Bytes of `packed`.
    size: int
    kind: Kind
    #: Venue and symbol.
    stream: tuple[str, str]
    time_ms: int
    ingested_at_ns: int
    #: The trace that its frame belongs to, as `tasks.telemetry.tracing` packs it.
    trace: str = ""
    #: When the stream stored its frame, unix nanoseconds; 0: it came from no stream.
    stored_at_ns: int = 0


class Lane:
    """The uncommitted events of one lane."""

    def __init__(self, lane: LaneId, timeouts: TimeoutBounds = TIMEOUT_BOUNDS) -> None:
        self.id = lane
        self.source = ""
        #: The lane's committed position.
        self.prev: Position | None = None
        self.waiting: OrderedDict[int, LaneEvent] = OrderedDict()
        self.flight: list[LaneEvent] = []
        #: When the copies of the batch in flight were sent.
        self.sent_s: list[float] = []
        self.tries = 0
        #: Where each batch leads that was sent from `prev` on: one of them was committed, or none.
        self._ends: set[int] = set()
        #: The task that its last copy travels in; batches that share a task have the same number. 0: none is in flight.
        self.task = 0
        self._configuration = ""
        #: How many runs were seen to have started and not completed, and since when there were no more and no fewer.
        self._incomplete_starts = 0
        self._incomplete_since_s = 0.0
        #: When to ask the ledger about it.
        self.check_s = 0.0
        #: Up to which event one is looked for that ends its process: its batch was halved. 0: none is.
        self._suspect_seq = 0
        self.held_bytes = 0
        self.round_trip = RttEstimator(timeouts)
        self._last_book: dict[tuple[str, str], int] = {}

    @property
    def held(self) -> int:
        """How many events are not committed yet."""
        return len(self.waiting) + len(self.flight)

    @property
    def first(self) -> LaneEvent | None:
        """The oldest event that is not committed yet."""
        return self.flight[0] if self.flight else next(iter(self.waiting.values()), None)

    # What comes in

    def offer(self, item: LaneEvent, room_bytes: int) -> list[tuple[DropReason, LaneEvent]]:
        """Take an event; return what had to go because less than its size was left of `room_bytes`."""
        dropped = self._make_room(item, room_bytes) if item.size > room_bytes else []
        self.waiting[item.seq] = item
        if item.kind == "depth":
            if len(self._last_book) >= MAX_SYMBOLS:
                self._last_book.clear()
            self._last_book[item.stream] = item.seq
        self.held_bytes += item.size
        return dropped

    def _make_room(self, item: LaneEvent, room_bytes: int) -> list[tuple[DropReason, LaneEvent]]:
        dropped: list[tuple[DropReason, LaneEvent]] = []
        if item.kind == "depth":
            older = self.waiting.pop(self._last_book.get(item.stream, -1), None)
            if older is not None:
                dropped.append(("conflated", older))
        while item.size > room_bytes + sum(gone.size for _, gone in dropped) and self.waiting:
            dropped.append(("overflow", self.waiting.popitem(last=False)[1]))
        self.held_bytes -= sum(gone.size for _, gone in dropped)
        return dropped

    def expire(self, before_ns: int) -> list[LaneEvent]:
        """Let go what came in before that moment of ingest's clock and is not in flight; return it."""
        gone = list(takewhile(lambda item: item.ingested_at_ns < before_ns, self.waiting.values()))
        for item in gone:
            del self.waiting[item.seq]
        self.held_bytes -= sum(item.size for item in gone)
        return gone

    # What goes out

    def launch(self, configuration: str = "") -> bool:
        """Make the next batch of what waits, if none is in flight. Call `sent` when it goes out.

        It runs under `configuration`, however often it is sent.
        """
        if self.flight or not self.waiting:
            return False
        size, most = 0, self._most_events()
        for item in self.waiting.values():
            size += item.size
            if self.flight and (len(self.flight) >= most or size > MAX_BATCH_BYTES):
                break
            self.flight.append(item)
        for item in self.flight:
            del self.waiting[item.seq]
        self.sent_s, self.tries, self._incomplete_starts = [], 0, 0
        self._configuration = configuration
        return True

    def _most_events(self) -> int:
        """Return how many events the next batch may have: half of the suspects, so that each batch says where to look.

        With what came in since, each would be as large as the first, and would end as many processes.
        """
        suspects = sum(1 for _ in takewhile(lambda item: item.seq <= self._suspect_seq, self.waiting.values()))
        return (suspects + 1) // 2 or MAX_BATCH_EVENTS

    def batch(self, shard: int, epoch: Epoch) -> Batch[msgspec.Raw]:
        """Return the batch in flight. Raises IndexError: none is."""
        last = self.flight[-1]
        return Batch(
            self.id.pool,
            self.id.partition,
            shard,
            epoch,
            self.prev,
            Position(self.source, last.seq),
            self._configuration,
            tuple(item.packed for item in self.flight),
            last.stored_at_ns,
        )

    def sent(self, now_s: float, task: int = 0) -> None:
        """Note that a copy of the batch in flight goes out, in the task of this number."""
        self.task = task
        self._ends.add(self.flight[-1].seq)
        self.sent_s = [*self.sent_s[1 - MAX_COPIES :], now_s]
        self.tries += 1
        self.check_s = now_s + self.round_trip.timeout_s(self.tries)

    # What is known of it

    def overdue(self, now_s: float) -> bool:
        """Whether it is time to ask the ledger about the batch in flight."""
        return self.tries > 0 and now_s >= self.check_s

    def ended(self, check_s: float | None = None) -> None:
        """Note that a copy of the batch in flight ended without a commit; it is overdue at `check_s`, if given."""
        self.sent_s = self.sent_s[1:]
        if check_s is not None:
            self.check_s = check_s

    def can_stand_at(self, position: Position) -> bool:
        """Whether the ledger may hold this position: no batch that was sent leads to any other, so that is damaged.

        Positions of another source, and those that the lane has left behind, mean something else.
        """
        is_ahead = position.source == self.source and not (self.prev and self.prev.covers(position))
        return not is_ahead or position.seq in self._ends

    def settle(self, position: Position, now_s: float, *, noticed: bool = True) -> list[LaneEvent]:
        """Update from the lane's position in the ledger; return the events that it shows to be committed.

        `noticed`: a notice just said so; only then is the round trip measured. Nothing is believed of a position where
        the lane can't stand.
        """
        if position.source != self.source or (self.prev and self.prev.covers(position)):
            return []
        if not self.can_stand_at(position):
            return []
        if noticed and self.sent_s and self.tries == 1 and position.seq == self.flight[-1].seq:
            self.round_trip.sample(now_s - self.sent_s[0])
        if self.flight and position.seq == self.flight[-1].seq:
            done = self.flight
            self._forget_flight()
        else:
            self.recall()
            done = list(takewhile(lambda item: item.seq <= position.seq, self.waiting.values()))
            for item in done:
                del self.waiting[item.seq]
        self.prev = position
        self._ends.clear()
        self.held_bytes -= sum(item.size for item in done)
        return done

    def decide(self, starts: int, now_s: float, *, copy_life_s: float, queue_full: bool) -> Decision:
        """Decide about a batch that is overdue and not committed, after `starts` runs of it that have not ended.

        A run lasts `copy_life_s` at most, so an older copy is not at work any more. A batch that was started too
        often is halved here, its first half to be sent.
        """
        if starts >= max_starts(len(self.flight)):
            if len(self.flight) == 1:
                return self._quarantine(starts, now_s, copy_life_s)
            self._halve()
            return "resend"
        if queue_full or sum(now_s - sent_s < copy_life_s for sent_s in self.sent_s) >= MAX_COPIES:
            self.check_s = now_s + self.round_trip.bounds.min_s
            return "wait"
        return "resend"

    def _quarantine(self, starts: int, now_s: float, copy_life_s: float) -> Decision:
        """Decide to quarantine the event once no run of it can be at work: none began or ended for `copy_life_s`."""
        if starts != self._incomplete_starts:
            self._incomplete_starts, self._incomplete_since_s = starts, now_s
        self.check_s = self._incomplete_since_s + copy_life_s
        if now_s < self.check_s:
            return "wait"
        self._suspect_seq = 0
        return "quarantine"

    def _halve(self) -> None:
        """Put the second half back in front of what waits. Another `to` with the same `prev` is safe."""
        self._suspect_seq = self.flight[-1].seq
        half = (len(self.flight) + 1) // 2
        self._put_back(self.flight[half:])
        self.flight = self.flight[:half]
        self.sent_s, self.tries, self._incomplete_starts = [], 0, 0

    def recall(self) -> None:
        """Put what is in flight back in front of what waits."""
        self._put_back(self.flight)
        self._forget_flight()

    def _forget_flight(self) -> None:
        self.flight, self.sent_s, self.tries, self.task, self._incomplete_starts = [], [], 0, 0, 0

    def _put_back(self, items: list[LaneEvent]) -> None:
        for item in reversed(items):
            self.waiting[item.seq] = item
            self.waiting.move_to_end(item.seq, last=False)

    def begin(self, source: str, prev: Position | None, renumbered: Iterable[LaneEvent]) -> None:
        """Start again under another epoch, from the lane's position in the ledger."""
        self.source, self.prev = source, prev
        self._suspect_seq = 0
        self._forget_flight()
        self._ends.clear()
        self.waiting = OrderedDict((item.seq, item) for item in renumbered)
        self._last_book = {item.stream: item.seq for item in self.waiting.values() if item.kind == "depth"}
        self.held_bytes = sum(item.size for item in self.waiting.values())
