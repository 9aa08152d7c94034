"""The ledger's record of each stream of events, and how one event advances it. Pure.

A record stands for one (pool, venue, symbol, kind). It is what makes every event count exactly once: an event at or
before `applied` was here already; an event whose exchange id does not rise is a repeat of the feed. Events without ids
are ordered by time.

An id that is further from the last one than any exchange counts in the time between is not believed before the next
event goes on from it: one forged id would else make a repeat of everything that is real. And where ids did jump, the
numbering before stays in mind for a while: an event that goes on from there is new at once, so whoever forges two in a
row, and then one for each real one, mutes nothing.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from tasks.events import STEP_BACK_MS, AnyEvent, Event, Kind, Position, Venue
from tasks.frames.symbols import token
from tasks.protocol import checksum

#: An id may fall only where time rose by more than this: then the feed restarted.
NEW_GENERATION_MS = 60_000
#: So many gaps a record counts at most. Ids come from outside, and a forged one can be anything below 2^63: the counter
#: of all records' gaps has 63 bits too.
MAX_GAPS = 2**40
#: Ids move by so many in a millisecond at most, twice as fast as the fastest that are known, which have 2^22 for each;
#: and, however long a stream was silent, by no more than that.
MAX_IDS_PER_MS, MAX_STEP = 2**23, 2**61
#: A step that is possible between any two events: their times may be of different clocks.
_FREE_STEP = MAX_IDS_PER_MS * STEP_BACK_MS
#: After so many events, a numbering that ids jumped to is the stream's own, and the one before is forgotten.
TRIAL_EVENTS = 1_000
#: The id of a record that has none to compare others with: before the first event, and after a reset.
NO_LAST_ID = -1

#: Kinds whose ids the exchange numbers one by one.
_NUMBERED = frozenset({"trade", "agg_trade"})

#: `unconfirmed`: nothing is known of it before the next event; `confirms`: it is new, and so is the unconfirmed one;
#: `returns`: it is new, and goes on from where ids were before they jumped.
Verdict = Literal["known", "repeat", "new", "unconfirmed", "confirms", "returns"]
_pack_id_and_time = struct.Struct(">qq").pack


def is_possible(event: Event, last_id: int, last_ms: int) -> bool:
    """Return whether the id of an event can be so far from an earlier one, in either direction, by the time between."""
    most = MAX_IDS_PER_MS * (abs(event.time_ms - last_ms) + STEP_BACK_MS)
    return abs(event.id - last_id) <= min(MAX_STEP, most)


def _rises(event: Event, last_id: int) -> bool:
    """Return whether an id goes on from an earlier one. Without ids, events may be of one time."""
    return event.id > last_id or event.id == last_id < 0


class Numbering(msgspec.Struct, array_like=True, frozen=True):
    """Where a stream stood before its ids jumped: its last event's id and time, and how many events there had been."""

    id: int
    time_ms: int
    count: int


class Record(msgspec.Struct, array_like=True):
    """Progress of one (pool, venue, symbol, kind): the last applied event, counts and running hash.

    In the ledger its checksum follows as a further element, so the next field that is added has to leave that place free.
    """

    #: The last event that was decided on: applied, repeat or quarantined.
    applied: Position | None = None
    #: Exchange id and time of the last event given to strategies.
    id: int = NO_LAST_ID
    time_ms: int = 0
    #: Rises when the feed restarts.
    generation: int = 0
    #: How many events were given to strategies.
    count: int = 0
    #: How many trade ids were jumped over; MAX_GAPS: so many or more.
    gaps: int = 0
    #: SHA-256 over the previous hash, exchange id and time of every event given to strategies; starts as zeros.
    hash: bytes = bytes(32)
    #: The configuration of the last event.
    configuration: str = ""
    #: An event whose id is impossibly far from `id`: the next one tells whether it was real.
    unconfirmed: AnyEvent | None = None
    #: Where ids were before they jumped to another numbering, which is on trial for TRIAL_EVENTS.
    left: Numbering | None = None

    def classify(self, event: AnyEvent, source: str) -> Verdict:
        """Return whether `event` was decided on before, repeats an earlier one, is new, or is to be confirmed."""
        if self.applied is not None and self.applied.source == source and event.seq <= self.applied.seq:
            return "known"
        step = event.id - self.id
        if 0 < step <= _FREE_STEP:
            return "new"
        if self.id != NO_LAST_ID and abs(step) > _FREE_STEP and not is_possible(event, self.id, self.time_ms):
            return self._weigh(event)
        if step <= 0 and self._falls(event) and event.time_ms <= self.time_ms + NEW_GENERATION_MS:
            return "repeat"
        return "new"

    def _weigh(self, event: AnyEvent) -> Verdict:
        """Return the verdict on an event whose id is impossibly far from the last one."""
        left = self.left
        if left is not None and self._is_on_trial and is_possible(event, left.id, left.time_ms):
            is_late = not _rises(event, left.id) and event.time_ms <= left.time_ms + NEW_GENERATION_MS
            return "repeat" if is_late else "returns"
        if event.id < self.id and event.time_ms > self.time_ms + NEW_GENERATION_MS:
            return "new"
        first = self.unconfirmed
        if first is None or not is_possible(event, first.id, first.time_ms):
            return "unconfirmed"
        return "confirms" if _rises(event, first.id) else "repeat"

    @property
    def _is_on_trial(self) -> bool:
        return self.left is not None and self.count - self.left.count < TRIAL_EVENTS

    def has_passed(self, event: AnyEvent) -> bool:
        """Return whether strategies had this event or a later one, by its id. A record without events passed none."""
        return self.count > 0 and self.id != NO_LAST_ID and event.id <= self.id

    def is_ahead_of(self, other: "Record") -> bool:
        """Return whether strategies had an event here that is new to `other`, a record of the same stream."""
        if not self.count or self.time_ms < other.time_ms - NEW_GENERATION_MS:
            return False
        return self.id > other.id or self.time_ms > other.time_ms + NEW_GENERATION_MS

    def _falls(self, event: Event) -> bool:
        """Whether an id that does not rise falls behind. Without ids, events may be of one time; the first is of none."""
        return event.id >= 0 or (event.id != self.id and self.count > 0)

    def pass_over(self, event: AnyEvent, source: str) -> None:
        """Count a repeat or a quarantined event as decided."""
        self.applied = Position(source, event.seq)

    def admit(
        self,
        event: AnyEvent,
        source: str,
        verdict: Verdict,
        refuse: Callable[["Record", AnyEvent], object] = lambda *_: None,
    ) -> tuple[AnyEvent, ...]:
        """Move on by an event, all but the hash; return what strategies are given now, in its order.

        `verdict` is that of `classify`. `refuse` is called with what was unconfirmed and is refuted by the event, before
        the record moves.
        """
        if verdict == "known":
            return ()
        if verdict == "repeat":
            self.pass_over(event, source)
            return ()
        before = self.release()
        if before is not None and verdict != "confirms":
            refuse(self, before)
            before = None
        if verdict == "unconfirmed":
            self.pass_over(event, source)
            self.unconfirmed = event
            return ()
        if verdict != "new":
            self._change_numbering(verdict)
        given = (event,) if before is None else (before, event)
        for each in given:
            self.take(each, source)
        return given

    def _change_numbering(self, verdict: Verdict) -> None:
        """Go to where the next event goes on from: nowhere, or, as if ids had not jumped, where they were before."""
        left = self.left
        if verdict == "returns" and left is not None:
            self.id, self.time_ms, self.left = left.id, left.time_ms, None
            return
        if not self._is_on_trial:
            self.left = Numbering(self.id, self.time_ms, self.count)
        self.id = NO_LAST_ID
        self.generation += 1

    def release(self) -> AnyEvent | None:
        """Return the unconfirmed event, if there is one; the record keeps it no longer."""
        event, self.unconfirmed = self.unconfirmed, None
        return event

    def take(self, event: AnyEvent, source: str) -> None:
        """Move on by an event that is given to strategies, all but the hash."""
        self.advance(event)
        self.applied = Position(source, event.seq)

    def advance(self, event: AnyEvent) -> None:
        """Move on as `take` does, where events have no positions."""
        if event.id <= self.id and self._falls(event):
            self.generation += 1
        elif event.id > self.id + 1 and event.kind in _NUMBERED and self.count and self.id >= 0:
            self.gaps = min(MAX_GAPS, self.gaps + event.id - self.id - 1)
        self.id, self.time_ms = event.id, event.time_ms
        self.count += 1

    def without_last_event(self) -> "Record":
        """Return the record such that the next event is new whatever its id and time: count, hash and position stay.

        An unconfirmed event stays too, to be refused by the next one.
        """
        return msgspec.structs.replace(self, id=NO_LAST_ID, time_ms=0, generation=self.generation + 1, left=None)

    def chain(self, taken: Iterable[Event]) -> None:
        """Move the hash on by all events that were taken since the last call.

        At the end of a batch, because between strategies each hash would take ten times as long, out of cold caches.
        """
        hash_ = self.hash
        for event in taken:
            hash_ = hashlib.sha256(hash_ + _pack_id_and_time(event.id, event.time_ms)).digest()
        self.hash = hash_


_packer = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)
_FIELDS = len(Record.__struct_fields__)


def field(event: Event) -> str:
    """Return the name of an event's record in the hash of its pool."""
    return named(event.venue, event.symbol, event.kind)


def named(venue: Venue, symbol: str, kind: Kind) -> str:
    """Return the name of a stream's record in the hash of its pool."""
    return f"record:{venue}:{token(symbol)}:{kind}"


def pack(record: Record) -> bytes:
    """Pack a record for the ledger."""
    return checksum.seal(_packer.encode(record))


def unpack(packed: bytes | None) -> Record:
    """Undo `pack`; None gives a fresh record. Raises what is in `errors.UNREADABLE`."""
    if packed is None:
        return Record()
    checksum.is_sealed(packed, _FIELDS)
    return _decoder.decode(packed)
