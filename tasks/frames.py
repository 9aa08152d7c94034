"""Frames: the bytes of one NATS message become a `Depth`, a `Trade`, or the reason why not. Pure.

A frame is a Binance combined-stream envelope `{"stream", "data"}` or a bare payload. Its three outcomes:

* an event: a valid partial book (depth5, 10, 20) or market trade;
* `Skipped`: something else that Binance sends (acks, klines, tickers, diff depth): counted by kind;
* `Refused`: a depth or a trade that is malformed: counted by reason, kept in the dead letters.

An event's time is, in this order: the exchange's `E`; the envelope's `received_at` (unix nanoseconds) or
`timestamp` (ISO 8601); the time at which the source stored the message; the moment of receipt.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from itertools import chain
from operator import ge, le
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from tasks.events import AnyEvent, Depth, Kind, Level, Trade

MAX_FRAME_BYTES = 1024 * 1024

Price = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]
Levels = Annotated[list[tuple[Price, Price]], Field(max_length=20)]
Id = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
TimeMs = Annotated[int, Field(strict=True, gt=0, le=10**14)]
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

    E: TimeMs
    s: Text
    u: Id
    b: Levels
    a: Levels


class AnyTrade(_Payload):
    """Trade of the spot market or, with `X`, of USD-M futures."""

    E: TimeMs
    s: Text
    t: Id
    p: Price
    q: Price
    m: Flag


class Skipped(msgspec.Struct, frozen=True):
    """A frame of another kind."""

    kind: str


class Refused(msgspec.Struct, frozen=True):
    """A malformed frame."""

    #: One of a small fixed set of words, good for a metric's label.
    reason: str
    #: What exactly is wrong, for a person.
    detail: str


class _RefusedError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.refused = Refused(reason, detail)


class Arrival(msgspec.Struct, frozen=True):
    """What the source knows of a frame."""

    #: The NATS subject it came on.
    subject: str
    #: Its number in the source.
    seq: int
    #: This process's clock at receipt, unix nanoseconds.
    ingested_at_ns: int
    #: When the source stored it (JetStream), unix nanoseconds.
    stored_at_ns: int | None = None


class Stream(NamedTuple):
    """What a stream's name says: `btcusdt@depth20@100ms`."""

    symbol: str
    kind: Kind | None


_STREAM = re.compile(r"(?P<symbol>[\w-]{1,40})@(?:(?P<depth>depth(?:5|10|20))|(?P<trade>trade)|\w+)(?:@\w+)?")
#: Longer names are no stream's; the bound keeps `parse_stream` from remembering megabytes.
_MAX_STREAM_CHARS = 128
# Tuples, because `in` then also works for what JSON gives and a set can't look up.
_MARKET_TRADES = ("MARKET", "RPI")
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


@lru_cache(maxsize=8192)
def parse_stream(name: str) -> Stream | None:
    """Read a stream's name; None when it is none. `kind` is None for streams that are not ours."""
    match = _STREAM.fullmatch(name)
    if match is None:
        return None
    kind: Kind | None = "depth" if match["depth"] else "trade" if match["trade"] else None
    return Stream(match["symbol"].upper(), kind)


def parse(raw: bytes, arrival: Arrival) -> AnyEvent | Skipped | Refused:
    """Turn a frame into an event, or say why not. Never raises, whatever the bytes are."""
    try:
        return _parse(raw, arrival)
    except _RefusedError as error:
        return error.refused
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return Refused(_REASONS.get(first["type"], "malformed"), f"{where}: {first['msg']}")


def _parse(raw: bytes, arrival: Arrival) -> AnyEvent | Skipped:
    if len(raw) > MAX_FRAME_BYTES:
        raise _RefusedError("too_large", f"{len(raw)} bytes, at most {MAX_FRAME_BYTES}")
    try:
        document = from_json(raw, allow_inf_nan=True, cache_strings="keys")
    except ValueError as error:
        raise _RefusedError("not_json", str(error)[:200]) from None
    if isinstance(document, list):
        return Skipped("array")
    if not isinstance(document, dict):
        raise _RefusedError("not_an_object", f"the frame is a JSON {type(document).__name__}")
    envelope, payload = (document, document["data"]) if "data" in document else ({}, document)
    if isinstance(payload, list):
        return Skipped("array")
    if not isinstance(payload, dict):
        raise _RefusedError("not_an_object", f"`data` is a JSON {type(payload).__name__}")
    name = envelope.get("stream") or arrival.subject.rpartition(".")[2]
    stream = parse_stream(name) if isinstance(name, str) and len(name) <= _MAX_STREAM_CHARS else None
    return _read(payload, stream, envelope, arrival)


def _read(
    payload: dict[str, Any], stream: Stream | None, envelope: dict[str, Any], arrival: Arrival
) -> AnyEvent | Skipped:
    said = stream.kind if stream else None
    match payload.get("e"):
        case "trade":
            return _trade(payload, stream, arrival)
        case "depthUpdate":
            return _usdm_depth(payload, stream, arrival) if stream and said == "depth" else Skipped("depthUpdate")
        case None if "lastUpdateId" in payload:
            return _spot_depth(payload, stream, envelope, arrival)
        case None:
            kind = _kind_without_name(payload)
            if said is not None and kind == "other":
                raise _RefusedError("missing_field", f"the stream is of kind {said}, the payload is not")
            return Skipped(kind)
        case kind:
            return Skipped(kind if isinstance(kind, str) and kind in KINDS else "other")


def _kind_without_name(payload: dict[str, Any]) -> str:
    if "result" in payload:
        return "ack"
    if "error" in payload or "code" in payload:
        return "error"
    return "bookTicker" if payload.keys() >= {"u", "s", "b", "B", "a", "A"} else "other"


def _trade(payload: dict[str, Any], stream: Stream | None, arrival: Arrival) -> Trade | Skipped:
    market = payload.get("X", "MARKET")
    if market not in _MARKET_TRADES:
        return Skipped(f"trade:{market}" if market in _OTHER_TRADES else "trade:other")
    trade = AnyTrade.model_validate(payload)
    _refuse_odd_numbers([(payload["p"], payload["q"])])
    return Trade(
        "usdm" if "X" in payload else "spot",
        _symbol(trade.s, stream, "trade"),
        trade.t,
        trade.E,
        arrival.seq,
        arrival.ingested_at_ns,
        trade.p,
        trade.q,
        trade.m,
    )


def _usdm_depth(payload: dict[str, Any], stream: Stream, arrival: Arrival) -> Depth:
    book = UsdmDepth.model_validate(payload)
    _refuse_odd_numbers(chain(payload["b"], payload["a"]))
    symbol = _symbol(book.s, stream, "depth")
    bids, asks = _sides(book.b, book.a)
    return Depth("usdm", symbol, book.u, book.E, arrival.seq, arrival.ingested_at_ns, bids, asks)


def _spot_depth(payload: dict[str, Any], stream: Stream | None, envelope: dict[str, Any], arrival: Arrival) -> Depth:
    if stream is None:
        raise _RefusedError("no_symbol", "a spot book without a stream name, in the envelope or the subject")
    book = SpotDepth.model_validate(payload)
    _refuse_odd_numbers(chain(payload["bids"], payload["asks"]))
    symbol = _symbol(stream.symbol, stream, "depth")
    bids, asks = _sides(book.bids, book.asks)
    return Depth(
        "spot", symbol, book.lastUpdateId, _time_ms(envelope, arrival), arrival.seq, arrival.ingested_at_ns, bids, asks
    )


def _refuse_odd_numbers(levels: Iterable[Iterable[Any]]) -> None:
    """Refuse what pydantic takes for a number and no market means as one: `true` and "1_000"."""
    values = tuple(chain.from_iterable(levels))
    try:
        odd = "_" in "".join(values)
    except TypeError:  # Not only strings: JSON numbers are welcome, booleans are not.
        odd = any(isinstance(value, bool) or "_" in str(value) for value in values)
    if odd:
        raise _RefusedError("not_a_number", "a boolean or an underscore among prices and quantities")


def _symbol(symbol: str, stream: Stream | None, kind: Literal["depth", "trade"]) -> str:
    symbol = symbol.upper()
    if stream is not None and stream.symbol != symbol:
        raise _RefusedError("symbol_mismatch", f"the payload says {symbol}, the stream {stream.symbol}")
    if stream is not None and stream.kind != kind:
        raise _RefusedError("kind_mismatch", f"the payload is of kind {kind}, the stream of kind {stream.kind}")
    return symbol


def _sides(bids: list[Level], asks: list[Level]) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    if not bids or not asks:
        raise _RefusedError("empty_side", f"{len(bids)} bids, {len(asks)} asks")
    bid_prices, ask_prices = [level[0] for level in bids], [level[0] for level in asks]
    if any(map(le, bid_prices, bid_prices[1:])):
        raise _RefusedError("unsorted", "bids do not fall")
    if any(map(ge, ask_prices, ask_prices[1:])):
        raise _RefusedError("unsorted", "asks do not rise")
    if bids[0][0] >= asks[0][0]:
        raise _RefusedError("crossed", f"best bid {bids[0][0]!r}, best ask {asks[0][0]!r}")
    return tuple(bids), tuple(asks)


def _time_ms(envelope: dict[str, Any], arrival: Arrival) -> int:
    received_at, timestamp = envelope.get("received_at"), envelope.get("timestamp")
    if received_at is not None:
        if type(received_at) is not int or not 10**6 <= received_at < 2**63:
            raise _RefusedError("bad_time", f"received_at is no time in unix nanoseconds: {str(received_at)[:40]}")
        return received_at // 1_000_000
    if timestamp is not None:
        return _iso_ms(timestamp)
    return (arrival.stored_at_ns or arrival.ingested_at_ns) // 1_000_000


def _iso_ms(timestamp: Any) -> int:
    try:
        moment = datetime.fromisoformat(timestamp)
        # A time without a zone is read as UTC, never as this machine's zone.
        utc_s = (moment if moment.tzinfo else datetime.fromisoformat(f"{timestamp}+00:00")).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise _RefusedError("bad_time", f"timestamp is not ISO 8601: {str(timestamp)[:40]}") from None
    if not 0.001 <= utc_s < 2**63 / 1e9:
        raise _RefusedError("bad_time", f"timestamp before 1970 or after 2262: {timestamp[:40]}")
    return int(utc_s * 1000)
