"""Market events: the two kinds that strategies receive, each with its position in its source.

    frame (bytes) ──frames.parse──► Depth | Trade ──routing──► lanes ──► batch ──► strategies

Events are immutable and travel to the workers as msgpack arrays, so the order of the fields below *is* the wire
format. Append new fields at the end, with a default: old workers then ignore what they do not know, and new workers
read what old senders wrote. To remove or to reorder fields takes a new task name.
"""

from typing import Annotated, ClassVar, Literal

import msgspec

Venue = Literal["spot", "usdm"]
Kind = Literal["depth", "trade"]
#: What a record can hash.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
#: Unix milliseconds that a calendar knows: 1970 to 9999.
DateMs = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
#: One price level of a book: (price, quantity), both above zero.
Level = tuple[float, float]


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Position of an event in its source. Positions of different sources can't be compared."""

    #: What numbers the events: one start of a core-NATS ingest, or one JetStream stream.
    source: str
    #: Rises with every frame of the source, from 1.
    seq: int

    def covers(self, other: "Position") -> bool:
        """Whether `other` is at or before this position, in the same source."""
        return self.source == other.source and other.seq <= self.seq

    def __str__(self) -> str:
        """Return the form in which the ledger stores it."""
        return f"{self.source}@{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read what `str` wrote. Raises ValueError on anything else."""
        source, separator, seq = text.rpartition("@")
        if not separator:
            message = f"not a position: {text!r}"
            raise ValueError(message)
        return cls(source, int(seq))


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The fields that depth and trade have in common."""

    kind: ClassVar[Kind]

    venue: Venue
    #: Upper case, as the exchange writes it: BTCUSDT.
    symbol: str
    #: The exchange's id, rising within (venue, symbol, kind): `t`, `lastUpdateId` or `u`.
    id: Int64
    #: When it happened, in unix milliseconds; see `frames.parser` for whose clock that is. The only clock of a
    #: strategy.
    time_ms: Int64
    #: The `seq` of its position.
    seq: int
    #: Ingest's own clock in unix nanoseconds when the frame came in: for latency, never for strategies.
    ingested_at_ns: int


class Depth(Event, frozen=True, array_like=True, gc=False, tag="depth"):
    """A snapshot of the best levels of a book: at least one a side, best first, never crossed."""

    kind: ClassVar[Kind] = "depth"

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    @property
    def mid(self) -> float:
        """The price half-way between best bid and best ask."""
        return (self.bids[0][0] + self.asks[0][0]) / 2

    @property
    def spread(self) -> float:
        """Best ask less best bid, in price units; above zero."""
        return self.asks[0][0] - self.bids[0][0]

    @property
    def spread_bps(self) -> float:
        """The spread in basis points of the mid price."""
        return self.spread / self.mid * 1e4


class Trade(Event, frozen=True, array_like=True, gc=False, tag="trade"):
    """One market trade."""

    kind: ClassVar[Kind] = "trade"

    price: float
    quantity: float
    #: True: the buyer's order was resting, so the seller was the aggressor.
    buyer_is_maker: bool

    @property
    def side(self) -> int:
        """Return the aggressor: +1 for a taker buy, -1 for a taker sell."""
        return -1 if self.buyer_is_maker else 1


AnyEvent = Depth | Trade
