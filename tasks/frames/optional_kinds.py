"""Binance's frames of the kinds that are read only where a pool takes them. Pure.

They are aggregate trades, best quotes, candles, mark prices and liquidations, of the spot market, USD-M and COIN-M futures.
Spot and USD-M candles have the same fields, so the envelope has to say the venue; else the fields or the symbol tell it.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from tasks.events import AggTrade, AnyEvent, BookTicker, Kind, Kline, Liquidation, MarkPrice
from tasks.frames.model import (
    Amount,
    Flag,
    FrameMetadata,
    Id,
    PartId,
    Price,
    RefusedError,
    SkippedFrame,
    StreamName,
    Symbol,
    Time,
    UnixMs,
    id_of,
    refuse_crossed,
    refuse_impossible_candle,
    refuse_odd_numbers,
    symbol_and_venue,
    time_ms,
)


class _Payload(BaseModel):
    # Built when the first frame comes: most processes never see one.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class AggTradePayload(_Payload):
    """Aggregate trade; on the spot market with `M`."""

    E: Time
    s: Symbol
    a: Id
    p: Price
    q: Price
    f: PartId
    l: PartId  # noqa: E741 the exchange's name
    m: Flag


class BookTickerPayload(_Payload):
    """Best bid and ask; on the spot market without `e`, `T` and `E`. A side that is empty has the price 0."""

    u: Id
    s: Symbol
    b: Amount
    B: Amount
    a: Amount
    A: Amount
    E: Time | None = None


class Candle(_Payload):
    """The candle in a `kline` frame."""

    t: UnixMs
    T: UnixMs
    i: Annotated[str, Field(strict=True, pattern=r"^[0-9]{1,2}[smhdwM]$")]
    o: Price
    h: Price
    l: Price  # noqa: E741 the exchange's name
    c: Price
    v: Amount
    q: Amount
    n: Id
    V: Amount
    x: Flag


class KlinePayload(_Payload):
    """Candle of the spot market, USD-M or COIN-M futures."""

    E: Time
    s: Symbol
    k: Candle


class MarkPricePayload(_Payload):
    """Mark price of futures. Contracts without funding have an empty `r` and a `T` of 0."""

    E: Time
    s: Symbol
    p: Price
    i: Amount = 0.0
    r: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | Literal[""] = ""
    T: UnixMs = 0


class ForcedOrder(_Payload):
    """The order in a `forceOrder` frame."""

    s: Symbol
    S: Literal["BUY", "SELL"]
    p: Price
    ap: Amount
    q: Price
    z: Amount


class LiquidationPayload(_Payload):
    """Liquidation of futures."""

    E: Time
    o: ForcedOrder


class _Frame(NamedTuple):
    """A frame whose kind is known: payload, parsed stream name, envelope, and metadata."""

    payload: Mapping[str, Any]
    stream: StreamName | None
    envelope: Mapping[str, Any]
    metadata: FrameMetadata

    def time_ms(self, exchange: int | None) -> int:
        envelope = self.envelope
        return time_ms(exchange, envelope.get("received_at"), envelope.get("timestamp"), self.metadata)


def read(
    kind: Kind,
    payload: Mapping[str, Any],
    stream: StreamName | None,
    envelope: Mapping[str, Any],
    metadata: FrameMetadata,
) -> AnyEvent | SkippedFrame:
    """Return the event of a payload of a kind, one of `READ`. Raises RefusedError and pydantic.ValidationError."""
    return _READERS[kind](_Frame(payload, stream, envelope, metadata))


def _agg_trade(frame: _Frame) -> AggTrade:
    said = AggTradePayload.model_validate(frame.payload)
    refuse_odd_numbers((frame.payload["p"], frame.payload["q"]))
    symbol, venue = symbol_and_venue(said.s, frame.stream, "agg_trade", "spot" if "M" in frame.payload else "usdm")
    head = venue, symbol, said.a, frame.time_ms(said.E), frame.metadata.seq, frame.metadata.ingested_at_ns
    return AggTrade(*head, said.p, said.q, said.m, said.f, said.l)


def _book_ticker(frame: _Frame) -> BookTicker | SkippedFrame:
    said = BookTickerPayload.model_validate(frame.payload)
    refuse_odd_numbers(tuple(frame.payload[name] for name in ("b", "B", "a", "A")))
    symbol, venue = symbol_and_venue(said.s, frame.stream, "book_ticker", "usdm" if "e" in frame.payload else "spot")
    if not (said.b and said.B and said.a and said.A):
        return SkippedFrame("one_sided_quote")
    refuse_crossed(said.b, said.a)
    head = venue, symbol, said.u, frame.time_ms(said.E), frame.metadata.seq, frame.metadata.ingested_at_ns
    return BookTicker(*head, said.b, said.B, said.a, said.A)


def _kline(frame: _Frame) -> Kline | SkippedFrame:
    said = KlinePayload.model_validate(frame.payload)
    candle = said.k
    refuse_odd_numbers(tuple(frame.payload["k"][name] for name in "ohlcvqV"))
    if not candle.x:
        return SkippedFrame("open_kline")
    venue = frame.envelope.get("venue")  # Whatever JSON gives, so that a set could not look it up.
    symbol, told = symbol_and_venue(said.s, frame.stream, "kline", venue if venue in ("spot", "usdm") else "")
    if not told:
        raise RefusedError("no_venue", "spot and USD-M candles look alike: the envelope must say `venue`, spot or usdm")
    prices = candle.o, candle.h, candle.l, candle.c
    refuse_impossible_candle(prices)
    at_ms = frame.time_ms(said.E)
    # Candles of several intervals that close at the same time come in any order.
    head = told, symbol, id_of(candle.T * 1_000_000), at_ms, frame.metadata.seq, frame.metadata.ingested_at_ns
    return Kline(*head, candle.i, candle.t, candle.T, *prices, candle.v, candle.q, candle.n, candle.V)


def _mark_price(frame: _Frame) -> MarkPrice:
    said = MarkPricePayload.model_validate(frame.payload)
    refuse_odd_numbers(tuple(frame.payload[name] for name in "pir" if name in frame.payload))
    symbol, venue = symbol_and_venue(said.s, frame.stream, "mark_price", "usdm")
    at_ms = frame.time_ms(said.E)
    head = venue, symbol, id_of(at_ms * 1_000_000), at_ms, frame.metadata.seq, frame.metadata.ingested_at_ns
    is_funded = said.r != "" and said.T > 0
    return MarkPrice(
        *head, said.p, said.i or None, said.r if is_funded and said.r != "" else None, said.T if is_funded else None
    )


def _liquidation(frame: _Frame) -> Liquidation:
    said = LiquidationPayload.model_validate(frame.payload)
    order = said.o
    refuse_odd_numbers(tuple(frame.payload["o"][name] for name in ("p", "ap", "q", "z")))
    symbol, venue = symbol_and_venue(order.s, frame.stream, "liquidation", "usdm")
    at_ms = frame.time_ms(said.E)
    head = venue, symbol, id_of(at_ms * 1_000_000), at_ms, frame.metadata.seq, frame.metadata.ingested_at_ns
    return Liquidation(*head, "buy" if order.S == "BUY" else "sell", order.p, order.ap, order.q, order.z)


_READERS: dict[Kind, Callable[[_Frame], AnyEvent | SkippedFrame]] = {
    "agg_trade": _agg_trade,
    "book_ticker": _book_ticker,
    "kline": _kline,
    "mark_price": _mark_price,
    "liquidation": _liquidation,
}
#: By the payload's `e`; a spot book ticker has none. Where no pool takes a kind, its frames are skipped under these names.
READ: dict[str, Kind] = {
    "aggTrade": "agg_trade",
    "bookTicker": "book_ticker",
    "kline": "kline",
    "markPriceUpdate": "mark_price",
    "forceOrder": "liquidation",
}


def kind_of_skipped(name: str) -> Kind | None:
    """Return the kind that pools can take and whose frames were skipped as `name`; None: pools can't take them."""
    return READ.get(name) or next((kind for kind in _READERS if kind == name), None)
