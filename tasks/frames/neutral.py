"""The venue-neutral frame: JSON that anybody can publish for any market, in both directions. Pure.

    {"schema": "market/1", "venue": "kraken", "kind": "trade", "symbol": "BTC/USD", "id": 7, "time": 1723161256322,
     "price": 61800.3, "quantity": 0.006, "side": "buy"}

It is published on `market.<venue>.<kind>.<symbol>`, the symbol as `symbols.token` writes it; what counts is the payload.
`id` may be left out by a venue that has none that rise: its events are ordered by time, then by position. `time` may be
left out as well: it is the time of receipt then. Unknown fields are refused, so that a misspelled `id` is no event
without one.
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tasks.events import (
    KINDS,
    NO_ID,
    AggTrade,
    AnyEvent,
    BookTicker,
    Depth,
    Kind,
    Kline,
    Liquidation,
    MarkPrice,
    Trade,
)
from tasks.frames.model import (
    MAX_LEVELS,
    ONE_SIDED,
    Amount,
    FrameMetadata,
    Id,
    PartId,
    Price,
    RefusedError,
    SkippedFrame,
    UnixMs,
    id_of,
    refuse_crossed,
    refuse_impossible_candle,
    refuse_odd_numbers,
    sides,
    time_ms,
)
from tasks.frames.symbols import token
from tasks.frames.timestamps import unix_ns

SCHEMA = "market/1"
#: All subjects of frames begin with this.
SUBJECTS = "market."

Time = Annotated[
    int | float | str, Field(description="unix time in s, ms, µs or ns, or ISO 8601 (UTC where it names no zone)")
]
Venue = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="the market, such as kraken")]
Symbol = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[^\s\x00-\x1f\x7f]+$", description="as the venue writes it")
]
Levels = Annotated[list[tuple[Price, Price]], Field(max_length=MAX_LEVELS, description="price, quantity; best first")]
Side = Literal["buy", "sell"]


class _NeutralFrame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)

    version: Annotated[Literal["market/1"], Field(alias="schema")]
    venue: Venue
    symbol: Symbol
    id: Annotated[Id | None, Field(description="rises within venue, symbol and kind; left out: the venue has none")] = (
        None
    )
    time: Annotated[Time | None, Field(description="the venue's clock; left out: the time of receipt")] = None
    received_at: Annotated[Time | None, Field(description="the publisher's clock at receipt")] = None
    trace: Annotated[dict[str, str] | None, Field(alias="_otel_trace_context")] = None


class DepthFrame(_NeutralFrame):
    """Best levels of a book, whole in each frame."""

    kind: Literal["depth"]
    bids: Levels
    asks: Levels


class _TradeFields(_NeutralFrame):
    price: Price
    quantity: Price
    side: Annotated[Side, Field(description="of the taker, who crossed the spread")]


class TradeFrame(_TradeFields):
    """One trade."""

    kind: Literal["trade"]


class AggTradeFrame(_TradeFields):
    """Trades at one price and of one side, added up."""

    kind: Literal["agg_trade"]
    first_id: Annotated[PartId, Field(description="-1: unknown")] = -1
    last_id: Annotated[PartId, Field(description="-1: unknown")] = -1


class BookTickerFrame(_NeutralFrame):
    """Best bid and ask."""

    kind: Literal["book_ticker"]
    bid: Price
    bid_quantity: Price
    ask: Price
    ask_quantity: Price


class KlineFrame(_NeutralFrame):
    """A closed candle."""

    kind: Literal["kline"]
    interval: Annotated[str, Field(pattern=r"^[0-9]{1,3}[smhdwM]$")]
    open_ms: UnixMs
    close_ms: Annotated[UnixMs, Field(description="its last millisecond")]
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    quote_volume: Amount = 0.0
    trades: Id = 0
    taker_buy_volume: Amount = 0.0


class MarkPriceFrame(_NeutralFrame):
    """Mark and index price of a futures contract, with its funding."""

    kind: Literal["mark_price"]
    price: Price
    index_price: Price | None = None
    funding_rate: Annotated[float | None, Field(ge=-1, le=1, description="fraction of the position's value")] = None
    next_funding_ms: UnixMs | None = None


class LiquidationFrame(_NeutralFrame):
    """A forced order."""

    kind: Literal["liquidation"]
    side: Annotated[Side, Field(description="of the order: sell closes a long position")]
    price: Price
    average_price: Amount = 0.0
    quantity: Price
    filled_quantity: Amount = 0.0


AnyFrame = DepthFrame | TradeFrame | AggTradeFrame | BookTickerFrame | KlineFrame | MarkPriceFrame | LiquidationFrame
_adapter: TypeAdapter[AnyFrame] = TypeAdapter(
    Annotated[AnyFrame, Field(discriminator="kind")], config=ConfigDict(defer_build=True)
)
#: Values that are numbers to pydantic and must not be booleans or hold underscores.
_NUMBERS = (
    "price", "quantity", "bid", "bid_quantity", "ask", "ask_quantity", "open", "high", "low", "close", "volume",
    "quote_volume", "taker_buy_volume", "index_price", "funding_rate", "average_price", "filled_quantity",
)  # fmt: skip


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a frame."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | {"title": f"Venue-neutral frame, {SCHEMA}"} | _adapter.json_schema(by_alias=True)


def subject(venue: str, kind: Kind, symbol: str) -> str:
    """Return the NATS subject of a frame: market.kraken.trade.BTC%2FUSD."""
    return f"{SUBJECTS}{venue}.{kind}.{token(symbol)}"


_VENUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def said_subject(venue: Any, kind: Any, symbol: Any) -> str:
    """Return the subject of a frame that says so; empty: it says none."""
    said = (venue, kind, symbol)
    if not (all(isinstance(each, str) for each in said) and _VENUE.fullmatch(venue) and kind in KINDS and symbol):
        return ""
    return subject(venue, kind, symbol)


def read(document: dict[str, Any], received_at: Any, metadata: FrameMetadata) -> AnyEvent | SkippedFrame:
    """Return the event of a frame, whose envelope, if it has one, says `received_at`.

    Raises RefusedError and pydantic.ValidationError.
    """
    if document["schema"] != SCHEMA:
        raise RefusedError("unknown_schema", f"its schema is {str(document['schema'])[:40]!r}, known: {SCHEMA}")
    kind = document.get("kind")
    if isinstance(kind, str) and kind in KINDS and kind not in metadata.kinds:
        return SkippedFrame(kind)
    frame = _adapter.validate_python(document)
    levels = [*document.get("bids", ()), *document.get("asks", ())]
    refuse_odd_numbers(
        (*(document[name] for name in _NUMBERS if name in document), *(n for level in levels for n in level))
    )
    receipt = received_at if frame.received_at is None else frame.received_at
    exchange_ns = None if frame.time is None else _time_ns(frame.time)
    at_ms = time_ms(None if exchange_ns is None else exchange_ns // 1_000_000, receipt, None, metadata)
    receipt_ns = (metadata.stored_at_ns or metadata.ingested_at_ns) if receipt is None else unix_ns(receipt)
    id_ = id_of(_id_time_ns(frame, exchange_ns or receipt_ns or at_ms * 1_000_000)) if frame.id is None else frame.id
    head = frame.venue, frame.symbol, id_, at_ms, metadata.seq, metadata.ingested_at_ns
    return _event(frame, head)


def _id_time_ns(frame: AnyFrame, known_ns: int) -> int:
    """Return the time by which an event without id is ordered, as exactly as it is known."""
    return frame.close_ms * 1_000_000 if isinstance(frame, KlineFrame) else known_ns


def _time_ns(said: float | str) -> int:
    ns = unix_ns(said)
    if ns is None:
        raise RefusedError("bad_time", f"time is not a unix time in s, ms, µs or ns, or ISO 8601: {str(said)[:40]}")
    return ns


_Head = tuple[str, str, int, int, int, int]


def _event(frame: AnyFrame, head: _Head) -> AnyEvent | SkippedFrame:
    match frame:
        case DepthFrame():
            return _depth(frame, head)
        case TradeFrame() | AggTradeFrame():
            return _trade(frame, head)
        case BookTickerFrame():
            return _book_ticker(frame, head)
        case KlineFrame():
            return _kline(frame, head)
        case MarkPriceFrame():
            return MarkPrice(*head, frame.price, frame.index_price, frame.funding_rate, frame.next_funding_ms)
    amounts = frame.average_price, frame.quantity, frame.filled_quantity
    return Liquidation(*head, frame.side, frame.price, *amounts)


def _depth(frame: DepthFrame, head: _Head) -> Depth | SkippedFrame:
    return Depth(*head, *sides(frame.bids, frame.asks)) if frame.bids and frame.asks else SkippedFrame(ONE_SIDED)


def _book_ticker(frame: BookTickerFrame, head: _Head) -> BookTicker:
    refuse_crossed(frame.bid, frame.ask)
    return BookTicker(*head, frame.bid, frame.bid_quantity, frame.ask, frame.ask_quantity)


def _trade(frame: TradeFrame | AggTradeFrame, head: _Head) -> Trade:
    fields = frame.price, frame.quantity, frame.side == "sell"
    return (
        Trade(*head, *fields)
        if isinstance(frame, TradeFrame)
        else AggTrade(*head, *fields, frame.first_id, frame.last_id)
    )


def _kline(frame: KlineFrame, head: _Head) -> Kline:
    prices = frame.open, frame.high, frame.low, frame.close
    refuse_impossible_candle(prices)
    volumes = frame.volume, frame.quote_volume, frame.trades, frame.taker_buy_volume
    return Kline(*head, frame.interval, frame.open_ms, frame.close_ms, *prices, *volumes)


def encode(event: AnyEvent) -> bytes:
    """Return the frame of an event; `read` of it gives the event back, all but its position and the time at which ingest got it."""
    fields = msgspec.structs.asdict(event)
    del fields["seq"], fields["ingested_at_ns"]
    time_ms_, id_ = fields.pop("time_ms"), fields.pop("id")
    document = {"schema": SCHEMA, "kind": event.kind, **fields}
    # An id from a time that is finer than milliseconds keeps it.
    document["time"] = time_ms_ if event.exchange_id is not None or event.kind == "kline" else id_ - NO_ID
    if event.exchange_id is not None:
        document["id"] = id_
    if isinstance(event, Trade):
        document["side"] = "sell" if document.pop("buyer_is_maker") else "buy"
    return msgspec.json.encode({name: value for name, value in document.items() if value is not None})
