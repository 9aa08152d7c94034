"""Frames: the bytes of one NATS message become a `Depth`, a `Trade`, or the reason why not. Pure.

A frame is a Binance combined-stream envelope `{"stream", "data"}` or a bare payload. Its three outcomes:

* an event: a valid partial book (depth5, 10, 20, 50, 100) or market trade;
* `SkippedFrame`: something else that Binance sends (acks, klines, tickers, diff depth, options, books without bids or asks):
  counted by kind;
* `RefusedFrame`: a depth or a trade that is malformed: counted by reason, kept in the dead letters.

An event's time is, in this order: the exchange's `E`; the envelope's `received_at` or `timestamp`; the time at which
the source stored the message; the moment of receipt. `timestamps` says in which units, `model.time_ms` how far ahead of
its receipt it may be.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from tasks.events import AnyEvent, Depth, Trade
from tasks.frames import fast_parser
from tasks.frames.model import (
    MARKET_TRADES,
    MAX_FRAME_BYTES,
    MAX_ID,
    MAX_LEVELS,
    MAX_PRICE,
    FrameMetadata,
    RefusedError,
    RefusedFrame,
    SkippedFrame,
    StreamName,
    foreign,
    parse_stream,
    sides,
    time_ms,
)

Price = Annotated[float, Field(gt=0, le=MAX_PRICE, allow_inf_nan=False)]
Levels = Annotated[list[tuple[Price, Price]], Field(max_length=MAX_LEVELS)]
Id = Annotated[int, Field(strict=True, ge=0, le=MAX_ID)]
Time = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=40, pattern=r"^[\w-]+$")]


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
    s: Text
    u: Id
    b: Levels
    a: Levels


class AnyTrade(_Payload):
    """Trade of the spot market or, with `X`, of USD-M futures."""

    E: Time
    s: Text
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
#: The kind of a book without bids or without asks: a new symbol has none for a while, and no strategy can use it.
ONE_SIDED = "one_sided_book"
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
    name = envelope.get("stream") or metadata.subject.rpartition(".")[2]
    stream = parse_stream(name) if isinstance(name, str) else None
    return (
        SkippedFrame("option") if _is_option(payload.get("s"), stream) else _read(payload, stream, envelope, metadata)
    )


def _read(
    payload: dict[str, Any], stream: StreamName | None, envelope: dict[str, Any], metadata: FrameMetadata
) -> AnyEvent | SkippedFrame:
    said = stream.kind if stream else None
    match payload.get("e"):
        case "trade":
            return _trade(payload, stream, envelope, metadata)
        case "depthUpdate" if stream and said == "depth":
            return _usdm_depth(payload, stream, envelope, metadata)
        case "depthUpdate":
            return SkippedFrame("depthUpdate")
        case None if "lastUpdateId" in payload:
            return _spot_depth(payload, stream, envelope, metadata)
        case None:
            kind = _kind_without_name(payload)
            if said is not None and kind == "other":
                raise RefusedError("missing_field", f"the stream is of kind {said}, the payload is not")
            return SkippedFrame(kind)
        case kind:
            return SkippedFrame(kind if isinstance(kind, str) and kind in KINDS else "other")


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
    _refuse_odd_numbers([(payload["p"], payload["q"])])
    return Trade(
        "usdm" if "X" in payload else "spot",
        _symbol(trade.s, stream, "trade"),
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
    _refuse_odd_numbers(chain(payload["b"], payload["a"]))
    symbol = _symbol(book.s, stream, "depth")
    if not (book.b and book.a):
        return SkippedFrame(ONE_SIDED)
    bids, asks = sides(book.b, book.a)
    at_ms = _time_ms(book.E, envelope, metadata)
    return Depth("usdm", symbol, book.u, at_ms, metadata.seq, metadata.ingested_at_ns, bids, asks)


def _spot_depth(
    payload: dict[str, Any], stream: StreamName | None, envelope: dict[str, Any], metadata: FrameMetadata
) -> Depth | SkippedFrame:
    if stream is None:
        raise RefusedError("no_symbol", "a spot book without a stream name, in the envelope or the subject")
    book = SpotDepth.model_validate(payload)
    _refuse_odd_numbers(chain(payload["bids"], payload["asks"]))
    symbol = _symbol(stream.symbol, stream, "depth")
    if not (book.bids and book.asks):
        return SkippedFrame(ONE_SIDED)
    bids, asks = sides(book.bids, book.asks)
    at_ms = _time_ms(None, envelope, metadata)
    return Depth("spot", symbol, book.lastUpdateId, at_ms, metadata.seq, metadata.ingested_at_ns, bids, asks)


def _time_ms(exchange: int | None, envelope: dict[str, Any], metadata: FrameMetadata) -> int:
    return time_ms(exchange, envelope.get("received_at"), envelope.get("timestamp"), metadata)


def _refuse_odd_numbers(levels: Iterable[Iterable[Any]]) -> None:
    """Refuse what pydantic takes for a number and no market means as one: `true` and "1_000"."""
    values = tuple(chain.from_iterable(levels))
    try:
        odd = "_" in "".join(values)
    except TypeError:  # Not only strings: JSON numbers are welcome, booleans are not.
        odd = any(isinstance(value, bool) or "_" in str(value) for value in values)
    if odd:
        raise RefusedError("not_a_number", "a boolean or an underscore among prices and quantities")


def _symbol(symbol: str, stream: StreamName | None, kind: Literal["depth", "trade"]) -> str:
    symbol = symbol.upper()
    if foreign(symbol) == "coinm":
        raise RefusedError("coinm", f"{symbol} is of COIN-M futures: its quantities are contracts, not coins")
    if stream is not None and stream.symbol != symbol:
        raise RefusedError("symbol_mismatch", f"the payload says {symbol}, the stream {stream.symbol}")
    if stream is not None and stream.kind != kind:
        raise RefusedError("kind_mismatch", f"the payload is of kind {kind}, the stream of kind {stream.kind}")
    return symbol
