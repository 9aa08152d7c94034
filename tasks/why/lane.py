"""The part of a lane that one strategy's state depends on, and which frames have to be read for it. Pure."""

from typing import NamedTuple

from tasks.events import AnyEvent, Kind, Venue
from tasks.frames.model import RefusedFrame, SkippedFrame, StreamName
from tasks.frames.plausibility import DEFAULT_LIMITS, FrameReader, PlausibilityLimits
from tasks.protocol.routing import Pool


class SourceFrame(NamedTuple):
    """One frame of a recording or a stream."""

    raw: bytes
    #: Of a NATS message its subject, of a recording's line its stream.
    subject: str
    #: Its number in the source, from 1.
    seq: int
    #: The recorder's clock or, of a stream, when it was stored, unix nanoseconds.
    at_ns: int
    #: When a stream stored it, unix nanoseconds.
    stored_at_ns: int | None = None


class StrategyLane(NamedTuple):
    """The events that one state of a strategy has seen."""

    pool: Pool
    venue: Venue
    #: Empty for a pool keyed by `all`.
    symbol: str

    @classmethod
    def of(cls, pool: Pool, venue: Venue, symbol: str) -> "StrategyLane":
        """Return the lane of an event's venue and symbol in a pool."""
        return cls(pool, venue, "" if pool.key == "all" else symbol)

    def takes(self, event: AnyEvent) -> bool:
        """Whether an event is one of them."""
        return (
            event.venue == self.venue
            and self.symbol in {"", event.symbol}
            and self.pool.wants(event.symbol, event.kind)
        )

    def needs(self, stream: StreamName | None) -> bool:
        """Whether a frame of a stream has to be read; None: only the frame itself can tell."""
        if stream is None:
            return True
        if self.symbol not in {"", stream.symbol} or stream.kind is None:
            return False
        wants: list[Kind] = [stream.kind]
        if stream.kind == "trade":
            # Whether a book is its symbol's is told by trades as well.
            wants.append("depth")
        return any(self.pool.wants(stream.symbol, kind) for kind in wants)


class LaneReader:
    """Makes a source's frames the events of a lane, as ingest does."""

    def __init__(self, lane: StrategyLane, limits: PlausibilityLimits = DEFAULT_LIMITS) -> None:
        self._lane, self._reader = lane, FrameReader(limits, lane.pool.kinds)

    def read(self, frame: SourceFrame) -> AnyEvent | None:
        """Return a frame's event; None: it has none, or it is another lane's."""
        outcome = self._reader.read(frame.raw, frame.subject, frame.seq, frame.at_ns, frame.stored_at_ns)
        if isinstance(outcome, SkippedFrame | RefusedFrame) or not self._lane.takes(outcome):
            return None
        return outcome
