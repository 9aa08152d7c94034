"""Market events: the kinds that strategies receive, each with its position in its source.

    frame (bytes) ──frames.parse──► Depth | Trade | ... ──routing──► lanes ──► batch ──► strategies

Events are immutable and travel to the workers as msgpack arrays, so the order of the fields below *is* the wire
format. Append new fields at the end, with a default: old workers then ignore what they do not know, and new workers
read what old senders wrote. To remove or to reorder fields takes a new task name.
"""

from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec

#: The market, an open name: `spot`, `usdm` and `coinm` are Binance's; others are those of venue-neutral frames.
Venue = str
Kind = Literal["depth", "trade", "agg_trade", "book_ticker", "kline", "mark_price", "liquidation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Kinds whose frames are always read. A frame of another kind is read if a pool takes the kind, else it is skipped.
ALWAYS_READ: frozenset[Kind] = frozenset({"depth", "trade"})
#: Added to an event's time in nanoseconds, it makes the id of an event to which the exchange gave none: below zero.
NO_ID = -(2**63)
#: Clocks of different kinds meet in one stream, so times run back by a second now and then: that is no time passed.
#: What is further back comes after a clock that was ahead.
STEP_BACK_MS = 2_000
#: What a record can hash.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
#: Unix milliseconds that a calendar knows: 1970 to 9999.
DateMs = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
#: One price level of a book: (price, quantity), both above zero.
Level = tuple[float, float]


class Position(msgspec.Struct, frozen=True, array_like=True, gc=False):
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
    """The fields that all kinds have in common."""

    kind: ClassVar[Kind]

    venue: Venue
    #: As the exchange writes it, Binance's in upper case: BTCUSDT.
    symbol: str
    #: The exchange's id, rising within (venue, symbol, kind): `t`, `a`, `lastUpdateId` or `u`. Below zero: it gave none,
    #: and events are ordered by time, then by position; see `NO_ID`.
    id: Int64
    #: When it happened, in unix milliseconds; see `frames.parser` for whose clock that is. The only clock of a
    #: strategy.
    time_ms: Int64
    #: The `seq` of its position.
    seq: int
    #: Ingest's own clock in unix nanoseconds when the frame came in: for latency, never for strategies.
    ingested_at_ns: int

    @property
    def exchange_id(self) -> int | None:
        """The exchange's id; None: it gave none."""
        return self.id if self.id >= 0 else None


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
        bid, ask = self.bids[0][0], self.asks[0][0]
        return (ask - bid) / ((bid + ask) / 2) * 1e4


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


class AggTrade(Trade, frozen=True, array_like=True, gc=False, tag="agg_trade"):
    """Trades at one price and of one side, added up; its id is the aggregate's.

    On the spot market they are those of one taker order, on Binance's futures markets those within 100 ms.
    """

    kind: ClassVar[Kind] = "agg_trade"

    #: Ids of the first and the last trade in it.
    first_id: int
    last_id: int


class BookTicker(Event, frozen=True, array_like=True, gc=False, tag="book_ticker"):
    """The best bid and the best ask."""

    kind: ClassVar[Kind] = "book_ticker"

    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float

    @property
    def mid(self) -> float:
        """The price half-way between best bid and best ask."""
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> float:
        """Best ask less best bid, in price units; above zero."""
        return self.ask - self.bid

    @property
    def spread_bps(self) -> float:
        """The spread in basis points of the mid price."""
        return self.spread / self.mid * 1e4


class Kline(Event, frozen=True, array_like=True, gc=False, tag="kline"):
    """A closed candle of the exchange. Its time is when the exchange sent it; one stream may hold several intervals."""

    kind: ClassVar[Kind] = "kline"

    #: As the exchange writes it: 1s, 1m, 1h, 1d, 1w, 1M.
    interval: str
    #: First and last millisecond, unix.
    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    #: In base currency (contracts on COIN-M futures), and in quote currency (coins there).
    volume: float
    quote_volume: float
    trades: int
    #: What takers bought of `volume`.
    taker_buy_volume: float


class MarkPrice(Event, frozen=True, array_like=True, gc=False, tag="mark_price"):
    """Mark and index price of a futures contract, with its funding."""

    kind: ClassVar[Kind] = "mark_price"

    price: float
    #: None: the exchange gave none.
    index_price: float | None
    #: As a fraction of the position's value; None: a contract without funding.
    funding_rate: float | None
    #: Unix milliseconds; None: a contract without funding.
    next_funding_ms: int | None


class Liquidation(Event, frozen=True, array_like=True, gc=False, tag="liquidation"):
    """A forced order: the exchange closes somebody's position. Within a second, Binance shows one of a symbol only."""

    kind: ClassVar[Kind] = "liquidation"

    #: Of the order: "sell" closes a long position.
    side: Literal["buy", "sell"]
    #: Of the order, its limit.
    price: float
    #: At which it was filled, on average; 0: not yet.
    average_price: float
    #: Of the order, and what is filled.
    quantity: float
    filled_quantity: float


AnyEvent = Depth | Trade | AggTrade | BookTicker | Kline | MarkPrice | Liquidation


def event_facts(event: Event) -> dict[str, Any]:
    """Return an event with the names of its fields, without where and when this process read it."""
    left_out = {"seq", "ingested_at_ns"}
    named = {name: getattr(event, name) for name in event.__struct_fields__ if name not in left_out}
    return {"kind": event.kind} | named
