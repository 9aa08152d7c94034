"""All lanes of one ingest process: numbering, bounds, the frontier. Pure."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import msgspec

from ingest.lanes.lane import DropReason, Lane, LaneEvent
from ingest.lanes.rtt_estimator import TIMEOUT_BOUNDS, TimeoutBounds
from tasks.events import AnyEvent, Kind, Position, Venue
from tasks.frames.model import MAX_SYMBOLS
from tasks.protocol.batches import pack_event, unpack_event
from tasks.protocol.routing import LaneId, Router

#: So many committed events are kept: a second of 2,000 events/s, 50 ms of 40,000. What a signal answers is among them
#: when it goes out, a few milliseconds after its event came in.
COMMITTED_KEPT = 2_000


class LaneLimits(NamedTuple):
    """Limits of what lanes hold: bytes a lane, bytes in total, and waiting time in seconds."""

    lane_bytes: int
    total_bytes: int
    #: How long an event may wait before it goes out; 0: however long it takes.
    wait_s: float = 0.0


class OfferResult(msgspec.Struct, frozen=True):
    """Result of offering an event: its lanes, and the events that were dropped to make room."""

    lanes: Sequence[Lane]
    #: What had to go for it.
    dropped: Sequence[tuple[DropReason, LaneEvent]]


_NOTHING = OfferResult((), ())


class Lanes:
    """All lanes of one ingest process, and the number of the last frame."""

    def __init__(
        self,
        router: Router,
        limits: LaneLimits,
        *,
        lossless: bool = False,
        timeouts: TimeoutBounds = TIMEOUT_BOUNDS,
        committed_kept: int = COMMITTED_KEPT,
    ) -> None:
        """Keep to the bounds by dropping events.

        `lossless`: never drop; the source stops reading while a lane is full. `timeouts` bound how soon the ledger is
        asked about a batch whose commit is not known. `committed_kept`: how many events `find` finds after their commit.
        """
        self.router = router
        self.limits = limits
        self._lossless = lossless
        self._lanes = {lane: Lane(lane, timeouts) for lane in router.lanes}
        self.by_pool: dict[str, list[Lane]] = {}
        for lane in self._lanes.values():
            self.by_pool.setdefault(lane.id.pool, []).append(lane)
        self.source = ""
        self.last_seq = 0
        self.held_bytes = 0
        #: The last ones, packed: 2 MB of books. As objects they would be 40 times as many, and slow down all others.
        self._committed: deque[LaneEvent] = deque(maxlen=committed_kept)
        #: Kept, to spare each event what the router looks up.
        self._lanes_of = lru_cache(maxsize=MAX_SYMBOLS)(self._look_up)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def __getitem__(self, lane: LaneId) -> Lane:
        return self._lanes[lane]

    def __contains__(self, lane: LaneId) -> bool:
        return lane in self._lanes

    @property
    def held(self) -> int:
        """How many events wait or are in flight; one that two pools want counts twice."""
        return sum(lane.held for lane in self._lanes.values())

    @property
    def frontier(self) -> int:
        """The highest number up to which everything is committed, skipped or in the dead letters."""
        firsts = [lane.first.seq for lane in self._lanes.values() if lane.first]
        return min(firsts) - 1 if firsts else self.last_seq

    def ages_s(self, now_ns: int) -> dict[LaneId, float]:
        """Return the age in seconds of each lane's oldest event that is not committed; 0: there is none."""
        firsts = {lane.id: lane.first for lane in self._lanes.values()}
        return {lane: max(0.0, (now_ns - item.ingested_at_ns) / 1e9) if item else 0.0 for lane, item in firsts.items()}

    @property
    def full(self) -> list[LaneId]:
        """The lanes that hold so much that no more should be read: those at their bound, or the fullest one."""
        full = [lane.id for lane in self._lanes.values() if lane.held_bytes >= self.limits.lane_bytes]
        if not full and self.held_bytes >= self.limits.total_bytes:
            full = [max(self._lanes.values(), key=lambda lane: lane.held_bytes).id]
        return full

    def pass_to(self, seq: int) -> None:
        """Take the frames up to `seq` for read: there are none of ours among them any more."""
        self.last_seq = max(self.last_seq, seq)

    def next_seq(self, seq: int = 0) -> int:
        """Return the number of the next frame: `seq`, if its source gave it one (from 1), else the last one plus 1."""
        self.last_seq = seq or self.last_seq + 1
        return self.last_seq

    def offer(self, event: AnyEvent, trace: str = "", stored_at_ns: int = 0) -> OfferResult:
        """Put an event into its lanes, within the bounds; return these lanes, and what had to go to make room.

        An event that no pool wants has no lanes. Where the source can be read again nothing goes: lanes grow past their
        bounds, and who reads looks at `full`. Sizes are in packed bytes; in two lanes it counts twice.
        """
        lanes = self._lanes_of(event.venue, event.symbol, event.kind)
        if not lanes:
            return _NOTHING
        packed = pack_event(event)
        stream = (event.venue, event.symbol)
        facts = event.kind, stream, event.time_ms, event.ingested_at_ns, trace, stored_at_ns
        item = LaneEvent(event.seq, packed, len(packed), *facts)
        dropped: list[tuple[DropReason, LaneEvent]] = []
        for lane in lanes:
            room = min(self.limits.lane_bytes - lane.held_bytes, self.limits.total_bytes - self.held_bytes)
            self.held_bytes += item.size
            if gone := lane.offer(item, item.size if self._lossless else room):
                self.held_bytes -= sum(out.size for _, out in gone)
                dropped += gone
        return OfferResult(lanes, dropped)

    def expire(self, lane: Lane, now_ns: int) -> int:
        """Let go what has waited in `lane` for longer than the bound; return how many events."""
        if self._lossless or not self.limits.wait_s:
            return 0
        gone = lane.expire(now_ns - int(self.limits.wait_s * 1e9))
        self.held_bytes -= sum(item.size for item in gone)
        return len(gone)

    def settle(self, lane: LaneId, position: Position, now_s: float, *, noticed: bool = True) -> list[LaneEvent]:
        """Update from a lane's position in the ledger; return the events that it shows to be committed, in order.

        Empty: it is another source's position, or no later one. `now_s` is in monotonic seconds; `noticed`: a notice
        just said so; only then is the round trip measured. Raises KeyError: no lane of ours.
        """
        done = self._lanes[lane].settle(position, now_s, noticed=noticed)
        self.held_bytes -= sum(item.size for item in done)
        self._committed.extend(done)
        return done

    def find(self, venue: Venue, symbol: str, kind: Kind, event_id: int) -> AnyEvent | None:
        """Return an event that is held or was committed lately; None: it is neither."""
        held = (chain(lane.flight, lane.waiting.values()) for lane in self._lanes_of(venue, symbol, kind))
        for item in chain(reversed(self._committed), *held):
            if (
                item.stream == (venue, symbol)
                and item.kind == kind
                and (event := unpack_event(item.packed)).id == event_id
            ):
                return event
        return None

    def _look_up(self, venue: Venue, symbol: str, kind: Kind) -> tuple[Lane, ...]:
        return tuple(self._lanes[name] for name in self.router.lanes_of(venue, symbol, kind))

    def restart(self, position: Position) -> None:
        """Start under a new epoch, every lane at `position`: whatever comes after it is read again."""
        for lane in self._lanes.values():
            lane.begin(position.source, position, [])
        self.source, self.last_seq, self.held_bytes = position.source, position.seq, 0

    def begin(self, source: str, positions: Mapping[LaneId, Position | None], now_s: float) -> None:
        """Start under a new epoch whose source is `source`, from the lanes' positions in the ledger.

        What no position covers is still to be done, and gets new numbers in the old order: an event that waits in
        two lanes has one number in both.
        """
        for name, lane in self._lanes.items():
            position = positions[name]
            if position is not None:
                lane.settle(position, now_s, noticed=False)
            lane.recall()
        old = sorted({seq for lane in self._lanes.values() for seq in lane.waiting})
        new = {seq: number for number, seq in enumerate(old, start=1)}
        for name, lane in self._lanes.items():
            lane.begin(source, positions[name], [_renumber(item, new[item.seq]) for item in lane.waiting.values()])
        self.source, self.last_seq = source, len(new)
        self.held_bytes = sum(lane.held_bytes for lane in self._lanes.values())


def _renumber(item: LaneEvent, seq: int) -> LaneEvent:
    packed = pack_event(msgspec.structs.replace(unpack_event(item.packed), seq=seq))
    return msgspec.structs.replace(item, seq=seq, packed=packed, size=len(packed))
