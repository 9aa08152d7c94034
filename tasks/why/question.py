"""A signal that is asked about: what it says of the event that it answers, and where it was found. Pure."""

from typing import Literal, NamedTuple

import msgspec

from tasks.errors import UNREADABLE, LedgerError
from tasks.events import AnyEvent, DateMs, Int64, Kind, Venue

#: Where a signal is stored: among those sent, those held back, in a file, or (`unknown`) nowhere.
Status = Literal["sent", "held", "written", "unknown"]


class SignalTrigger(msgspec.Struct, frozen=True):
    """The event that a signal answers, as the signal names it."""

    venue: Venue
    symbol: str
    kind: Kind
    id: Int64


class SignalHead(msgspec.Struct, frozen=True):
    """The fields of a signal that say where it came from."""

    id: str
    strategy: str
    trigger: SignalTrigger
    event_time_ms: DateMs
    config_version: str


_decode = msgspec.json.Decoder(SignalHead).decode


class Question(NamedTuple):
    """A signal, and what is stored of it."""

    head: SignalHead
    status: Status
    #: The contract's JSON as it is stored; empty: it is stored nowhere.
    packed: bytes = b""
    #: Why the gate held it back; empty: it did not.
    held: str = ""
    #: When it was committed, unix milliseconds of Redis's clock; 0: not known.
    committed_ms: int = 0

    @classmethod
    def of(cls, packed: bytes, status: Status, held: str = "", committed_ms: int = 0) -> "Question":
        """Return the question about a stored signal. Raises LedgerError: it is none."""
        try:
            return cls(_decode(packed), status, packed, held, committed_ms)
        except UNREADABLE as error:
            raise LedgerError(f"{packed[:100]!r} is no signal: {str(error)[:200]}") from None

    @classmethod
    def about(cls, identity: str, strategy: str, event: AnyEvent, version: str) -> "Question":
        """Return the question about a signal of which only the id is known, and the event whose id that is."""
        trigger = SignalTrigger(event.venue, event.symbol, event.kind, event.id)
        return cls(SignalHead(identity, strategy, trigger, event.time_ms, version), "unknown")

    def is_answered_by(self, event: AnyEvent) -> bool:
        """Whether an event is the one that the signal answers."""
        return (
            self._is_of_record(event) and event.id == self.head.trigger.id and event.time_ms == self.head.event_time_ms
        )

    def is_past(self, event: AnyEvent) -> bool:
        """Whether the event that the signal answers can't come any more: it would be a repeat behind this one."""
        return (
            self._is_of_record(event) and event.id > self.head.trigger.id and event.time_ms >= self.head.event_time_ms
        )

    def _is_of_record(self, event: AnyEvent) -> bool:
        of = self.head.trigger
        return (event.venue, event.symbol, event.kind) == (of.venue, of.symbol, of.kind)
