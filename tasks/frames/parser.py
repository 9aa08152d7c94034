"""Frames: the bytes of one NATS message become an event, or the reason why not. Pure.

A frame is a Binance combined-stream envelope `{"stream", "data"}`, a bare payload, or a venue-neutral frame. Its three
outcomes:

* an event: a valid partial book or market trade, or one of the other kinds if they are asked for;
* `SkippedFrame`: something else that Binance sends (acks, tickers, diff depth, options, books without bids or asks, kinds
  that nobody asked for): counted by kind;
* `RefusedFrame`: a malformed frame of a kind that is read: counted by reason, kept in the dead letters.

An event's time is, in this order: the exchange's `E`; the envelope's `received_at` or `timestamp`; the time at which
the source stored the message; the moment of receipt. `timestamps` says in which units, `model.time_ms` how far ahead of
its receipt it may be.
"""

from itertools import chain
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from tasks.events import ALWAYS_READ, AnyEvent, Depth, Kind, Trade
from tasks.frames import fast_parser, neutral, optional_kinds
from tasks.frames.model import (
    MARKET_TRADES,
    MAX_FRAME_BYTES,
    MAX_LEVELS,
    ONE_SIDED,
    Flag,
    FrameMetadata,
    Id,
    Price,
    RefusedError,
    RefusedFrame,
    SkippedFrame,
    StreamName,
    Symbol,
    Time,
    foreign,
    parse_stream,
    refuse_odd_numbers,
    sides,
    symbol_and_venue,
    time_ms,
)

Levels = Annotated[list[tuple[Price, Price]], Field(max_length=MAX_LEVELS)]


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SpotDepth(_Payload):
    """Partial book of the spot market: neither symbol nor time."""

    lastUpdateId: Id  # noqa: N815 the exchange's name
    bids: Levels
    asks: Levels


class UsdmDepth(_Payload):
    """Partial book of USD-M futures."""

    E: Time
    s: Symbol
    u: Id
    b: Levels
    a: Levels


class AnyTrade(_Payload):
    """Trade of the spot market or, with `X`, of USD-M futures."""

    E: Time
    s: Symbol
    t: Id
    p: Price
    q: Price
    m: Flag


# Tuples, because `in` then also works for what JSON gives and a set can't look up.
_OTHER_TRADES = ("INSURANCE_FUND", "NA")
_REASONS = {
    "missing": "missing_field",
    "finite_number": "not_finite",
    "greater_than": "not_positive",
    "less_than_equal": "out_of_range",
    "greater_than_equal": "out_of_range",
    "too_long": "out_of_range",
    "float_parsing": "not_a_number",
}
#: Kinds of frames that get a counter of their own; every other one counts as "other".
KINDS = frozenset(
    {
        "24hrMiniTicker", "24hrTicker", "aggTrade", "avgPrice", "bookTicker", "compositeIndex", "contractInfo",
        "depthUpdate", "forceOrder", "kline", "continuous_kline", "markPriceUpdate", "serverShutdown",
        "trade_all", "ticker_all", "1hTicker", "4hTicker", "1dTicker",
    }
)  # fmt: skip


def parse(raw: bytes, metadata: FrameMetadata) -> AnyEvent | SkippedFrame | RefusedFrame:
    """Turn a frame into an event, or say why not. Never raises, whatever the bytes are."""
    try:
        return fast_parser.read(raw, metadata) or _parse(raw, metadata)
    except RefusedError as error:
        return error.refused
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return RefusedFrame(_REASONS.get(first["type"], "malformed"), f"{where}: {first['msg']}")


def _parse(raw: bytes, metadata: FrameMetadata) -> AnyEvent | SkippedFrame:
    if len(raw) > MAX_FRAME_BYTES:
        raise RefusedError("too_large", f"{len(raw)} bytes, at most {MAX_FRAME_BYTES}")
    try:
        document = from_json(raw, allow_inf_nan=True, cache_strings="keys")
    except ValueError as error:
        raise RefusedError("not_json", str(error)[:200]) from None
    if isinstance(document, list):
        return SkippedFrame("array")
    if not isinstance(document, dict):
        raise RefusedError("not_an_object", f"the frame is a JSON {type(document).__name__}")
    envelope, payload = (document, document["data"]) if "data" in document else ({}, document)
    if isinstance(payload, list):
        return SkippedFrame("array")
    if not isinstance(payload, dict):
        raise RefusedError("not_an_object", f"`data` is a JSON {type(payload).__name__}")
    if isinstance(payload.get("schema"), str):
        return neutral.read(payload, envelope.get("received_at"), metadata)
    name = envelope.get("stream") or metadata.subject.rpartition(".")[2]
    stream = parse_stream(name) if isinstance(name, str) else None
    return (
        SkippedFrame("option") if _is_option(payload.get("s"), stream) else _read(payload, stream, envelope, metadata)
    )


def _read(
    payload: dict[str, Any], stream: StreamName | None, envelope: dict[str, Any], metadata: FrameMetadata
) -> AnyEvent | SkippedFrame:
    if (kind := _optional_kind(payload)) in metadata.kinds:
        return optional_kinds.read(kind, payload, stream, envelope, metadata)
    said = stream.kind if stream else None
    match payload.get("e"):
        case "trade":
            return _trade(payload, stream, envelope, metadata)
        case "depthUpdate" if stream and said == "depth":
            return _usdm_depth(payload, stream, envelope, metadata)
        case None if "lastUpdateId" in payload:
            return _spot_depth(payload, stream, envelope, metadata)
        case None:
            unnamed = _kind_without_name(payload)
            if said in ALWAYS_READ and unnamed == "other":
                raise RefusedError("missing_field", f"the stream is of kind {said}, the payload is not")
            return SkippedFrame(unnamed)
        case other:
            return SkippedFrame(other if isinstance(other, str) and other in KINDS else "other")


def _optional_kind(payload: dict[str, Any]) -> Kind | None:
    """Return the kind of a payload that is read only where a pool takes it; None: it is none of these."""
    named = payload.get("e")
    if named is None:
        named = _kind_without_name(payload)
    return optional_kinds.READ.get(named) if isinstance(named, str) else None


def _is_option(symbol: Any, stream: StreamName | None) -> bool:
    said = symbol.upper() if isinstance(symbol, str) else stream.symbol if stream else ""
    return foreign(said) == "option"


def _kind_without_name(payload: dict[str, Any]) -> str:
    if "result" in payload:
        return "ack"
    if "error" in payload or "code" in payload:
        return "error"
    return "bookTicker" if payload.keys() >= {"u", "s", "b", "B", "a", "A"} else "other"


def _trade(
    payload: dict[str, Any], stream: StreamName | None, envelope: dict[str, Any], metadata: FrameMetadata
) -> Trade | SkippedFrame:
    market = payload.get("X", "MARKET")
    if market not in MARKET_TRADES:
        return SkippedFrame(f"trade:{market}" if market in _OTHER_TRADES else "trade:other")
    trade = AnyTrade.model_validate(payload)
    refuse_odd_numbers((payload["p"], payload["q"]))
    symbol, venue = symbol_and_venue(trade.s, stream, "trade", "usdm" if "X" in payload else "spot")
    return Trade(
        venue,
        symbol,
        trade.t,
        _time_ms(trade.E, envelope, metadata),
        metadata.seq,
        metadata.ingested_at_ns,
        trade.p,
        trade.q,
        trade.m,
    )


def _usdm_depth(
    payload: dict[str, Any], stream: StreamName, envelope: dict[str, Any], metadata: FrameMetadata
) -> Depth | SkippedFrame:
    book = UsdmDepth.model_validate(payload)
    refuse_odd_numbers(tuple(chain.from_iterable(chain(payload["b"], payload["a"]))))
    symbol, venue = symbol_and_venue(book.s, stream, "depth", "usdm")
    if not (book.b and book.a):
        return SkippedFrame(ONE_SIDED)
    bids, asks = sides(book.b, book.a)
    at_ms = _time_ms(book.E, envelope, metadata)
    return Depth(venue, symbol, book.u, at_ms, metadata.seq, metadata.ingested_at_ns, bids, asks)


def _spot_depth(
    payload: dict[str, Any], stream: StreamName | None, envelope: dict[str, Any], metadata: FrameMetadata
) -> Depth | SkippedFrame:
    if stream is None:
        raise RefusedError("no_symbol", "a spot book without a stream name, in the envelope or the subject")
    book = SpotDepth.model_validate(payload)
    refuse_odd_numbers(tuple(chain.from_iterable(chain(payload["bids"], payload["asks"]))))
    symbol, venue = symbol_and_venue(stream.symbol, stream, "depth", "spot")
    if not (book.bids and book.asks):
        return SkippedFrame(ONE_SIDED)
    bids, asks = sides(book.bids, book.asks)
    at_ms = _time_ms(None, envelope, metadata)
    return Depth(venue, symbol, book.lastUpdateId, at_ms, metadata.seq, metadata.ingested_at_ns, bids, asks)


def _time_ms(exchange: int | None, envelope: dict[str, Any], metadata: FrameMetadata) -> int:
    return time_ms(exchange, envelope.get("received_at"), envelope.get("timestamp"), metadata)
