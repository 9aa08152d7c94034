"""The ledger's record of each stream of events, and how one event advances it. Pure.

A record stands for one (pool, venue, symbol, kind). It is what makes every event count exactly once: an event at or
before `applied` was here already; an event whose exchange id does not rise is a repeat of the feed. Events without ids
are ordered by time.
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import Literal

import msgspec

from tasks.events import AnyEvent, Event, Kind, Position, Venue
from tasks.frames.symbols import token

#: An id may fall only where time rose by more than this: then the feed restarted.
NEW_GENERATION_MS = 60_000
#: So many gaps a record counts at most. Ids come from outside, and a forged one can be anything below 2^63: the counter
#: of all records' gaps has 63 bits too.
MAX_GAPS = 2**40

#: Kinds whose ids the exchange numbers one by one.
_NUMBERED = frozenset({"trade", "agg_trade"})

Verdict = Literal["known", "repeat", "new"]
_pack_id_and_time = struct.Struct(">qq").pack


class Record(msgspec.Struct, array_like=True):
    """Progress of one (pool, venue, symbol, kind): the last applied event, counts and running hash."""

    #: The last event that was decided on: applied, repeat or quarantined.
    applied: Position | None = None
    #: Exchange id and time of the last event given to strategies.
    id: int = -1
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

    def classify(self, event: AnyEvent, source: str) -> Verdict:
        """Return whether `event` was decided on before, repeats an earlier one, or is new."""
        if self.applied is not None and self.applied.source == source and event.seq <= self.applied.seq:
            return "known"
        if event.id <= self.id and self._falls(event) and event.time_ms <= self.time_ms + NEW_GENERATION_MS:
            return "repeat"
        return "new"

    def has_passed(self, event: AnyEvent) -> bool:
        """Return whether strategies had this event or a later one, by its id. A record without events passed none."""
        return self.count > 0 and event.id <= self.id

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

    def take(self, event: AnyEvent, source: str) -> None:
        """Move on by an event that is given to strategies, all but the hash."""
        if event.id <= self.id and self._falls(event):
            self.generation += 1
        elif event.kind in _NUMBERED and self.count and self.id >= 0:
            self.gaps = min(MAX_GAPS, self.gaps + event.id - self.id - 1)
        self.applied = Position(source, event.seq)
        self.id, self.time_ms = event.id, event.time_ms
        self.count += 1

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


def field(event: Event) -> str:
    """Return the name of an event's record in the hash of its pool."""
    return named(event.venue, event.symbol, event.kind)


def named(venue: Venue, symbol: str, kind: Kind) -> str:
    """Return the name of a stream's record in the hash of its pool."""
    return f"record:{venue}:{token(symbol)}:{kind}"


def pack(record: Record) -> bytes:
    """Pack a record for the ledger."""
    return _packer.encode(record)


def unpack(packed: bytes | None) -> Record:
    """Undo `pack`; None gives a fresh record."""
    return Record() if packed is None else _decoder.decode(packed)
