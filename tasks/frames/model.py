"""Shared by the two frame parsers: metadata of frames, and the rules for books and times."""

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from operator import ge, le
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from pydantic import Field

from tasks.events import ALWAYS_READ, NO_ID, Kind, Level, Venue
from tasks.frames.timestamps import FIRST_MS, FIRST_NS, LAST_MS, LAST_NS, unix_ns

MAX_FRAME_BYTES = 1024 * 1024
#: Longer names are no stream's; the bound keeps `parse_stream` from remembering megabytes.
MAX_STREAM_CHARS = 128
MAX_LEVELS = 100
#: No market has so many. A publisher that invents symbols must not make anything grow that only saves time.
MAX_SYMBOLS = 20_000
MAX_PRICE = 1e15
MAX_ID = 2**63 - 1
#: How far an event's time may run ahead of its receipt by default; the setting is MAX_CLOCK_LEAD_S.
MAX_LEAD_NS = 60 * 10**9
#: The kind of a book without bids or without asks: a new symbol has none for a while, and no strategy can use it.
ONE_SIDED = "one_sided_book"
#: What the futures market calls a trade of its book.
MARKET_TRADES = ("MARKET", "RPI")

# How pydantic's models of payloads read numbers, times and names.
Price = Annotated[float, Field(gt=0, le=MAX_PRICE, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=MAX_PRICE, allow_inf_nan=False)]
Id = Annotated[int, Field(strict=True, ge=0, le=MAX_ID)]
Time = Annotated[int, Field(strict=True)]
#: A moment beside the event's own time, which `time_ms` checks: up to the year 9999.
UnixMs = Annotated[int, Field(strict=True, ge=0, le=253_402_300_799_999)]
#: Of a trade that is in an aggregate; -1: unknown.
PartId = Annotated[int, Field(strict=True, ge=-1, le=MAX_ID)]
Flag = Annotated[bool, Field(strict=True)]
#: As Binance spells one.
Symbol = Annotated[str, Field(strict=True, min_length=1, max_length=40, pattern=r"^[\w-]+$")]


class SkippedFrame(msgspec.Struct, frozen=True):
    """A frame of a kind that is not used."""

    kind: str


class RefusedFrame(msgspec.Struct, frozen=True):
    """A malformed frame: the reason and its details."""

    #: One of a small fixed set of words, good for a metric's label.
    reason: str
    #: What exactly is wrong, for a person.
    detail: str


class RefusedError(Exception):
    """A frame is refused."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.refused = RefusedFrame(reason, detail)


class FrameMetadata(msgspec.Struct, frozen=True):
    """Metadata of a frame beside its bytes: subject, number, and the times at which it was stored and received."""

    #: The NATS subject it came on.
    subject: str
    #: Its number in the source.
    seq: int
    #: This process's clock at receipt, unix nanoseconds.
    ingested_at_ns: int
    #: When the source stored it (JetStream), unix nanoseconds.
    stored_at_ns: int | None = None
    #: How far an event's time may run ahead of its receipt, nanoseconds; 0: however far.
    max_lead_ns: int = 0
    #: Frames of other kinds are skipped.
    kinds: frozenset[Kind] = ALWAYS_READ


#: Markets whose frames have the shapes of ours and whose numbers mean something else.
Foreign = Literal["coinm", "option"]
#: BTCUSD_PERP, BTCUSD_240927; and BTC-261226-100000-C.
_FOREIGN: dict[Foreign, re.Pattern[str]] = {
    "coinm": re.compile(r"\w+USD_(?:PERP|[0-9]{6})"),
    "option": re.compile(r"\w+-[0-9]{6}-[0-9.]+-[CP]"),
}


class StreamName(NamedTuple):
    """A parsed stream name: `btcusdt@depth20@100ms`."""

    symbol: str
    kind: Kind | None
    #: Of which market that is not ours; None: as far as its name tells, it is ours.
    foreign: Foreign | None = None


def foreign(symbol: str) -> Foreign | None:
    """Return the market that a symbol in upper case belongs to, if it is none of ours."""
    return next((market for market, form in _FOREIGN.items() if form.fullmatch(symbol)), None)


_STREAM = re.compile(r"(?P<symbol>[\w-]{1,40})@(?P<name>\w+)(?:@\w+)?")
#: By the name of a stream, without its interval.
_KINDS: dict[str, Kind] = {
    "depth5": "depth",
    "depth10": "depth",
    "depth20": "depth",
    "depth50": "depth",
    "depth100": "depth",
    "trade": "trade",
    "aggTrade": "agg_trade",
    "bookTicker": "book_ticker",
    "kline": "kline",
    "markPrice": "mark_price",
    "forceOrder": "liquidation",
}


def parse_stream(name: str) -> StreamName | None:
    """Read a stream's name; None when it is none. `kind` is None for streams that are not ours."""
    return parse_short_stream(name) if len(name) <= MAX_STREAM_CHARS else None


@lru_cache(maxsize=8192)
def parse_short_stream(name: str) -> StreamName | None:
    """Return what `parse_stream` returns, for a name that is known to be no longer than MAX_STREAM_CHARS."""
    match = _STREAM.fullmatch(name)
    if match is None:
        return None
    kind = _KINDS.get(match["name"].partition("_")[0])
    symbol = match["symbol"].upper()
    return StreamName(symbol, kind, foreign(symbol))


def sides(bids: Sequence[Level], asks: Sequence[Level]) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Return both sides of a book, neither of them empty, best first. Raises RefusedError: they are no book."""
    # From the worst ask down to the worst bid every price is below the one before: one pass says that all is well.
    above = math.inf
    for price, _ in (*asks[::-1], *bids):
        if price >= above:
            raise _why_no_book([level[0] for level in bids], [level[0] for level in asks])
        above = price
    return tuple(bids), tuple(asks)


def _why_no_book(bids: list[float], asks: list[float]) -> RefusedError:
    if any(map(le, bids, bids[1:])):
        return RefusedError("unsorted", "bids do not fall")
    if any(map(ge, asks, asks[1:])):
        return RefusedError("unsorted", "asks do not rise")
    return RefusedError("crossed", f"best bid {bids[0]!r}, best ask {asks[0]!r}")


def time_ms(exchange: int | None, received_at: Any, timestamp: Any, metadata: FrameMetadata) -> int:
    """Return an event's time in unix milliseconds: `exchange`, the payload's own, or else that of its receipt.

    Raises RefusedError: one of them is no plausible time, or the event's runs too far ahead of its receipt.
    """
    came_ns = metadata.stored_at_ns or metadata.ingested_at_ns
    if type(received_at) is int and FIRST_NS <= received_at <= LAST_NS:
        said_ns = received_at
        # Where no clock is wrong, this is all that there is to look at.
        if said_ns <= came_ns:
            if exchange is None:
                return said_ns // 1_000_000
            if FIRST_MS <= exchange <= LAST_MS and exchange * 1_000_000 - metadata.max_lead_ns <= said_ns:
                return exchange
    elif received_at is not None:
        said_ns = _plausible_ns("received_at", received_at)
    else:
        said_ns = came_ns if timestamp is None else _plausible_ns("timestamp", timestamp)
    at_ms = said_ns // 1_000_000
    if exchange is not None:
        at_ms = exchange if FIRST_MS <= exchange <= LAST_MS else _plausible_ns("E", exchange) // 1_000_000
    # A recording may say of a line no more than its place.
    if metadata.max_lead_ns and came_ns >= FIRST_NS:
        receipt_ns = min(said_ns, came_ns)
        if at_ms * 1_000_000 > receipt_ns + metadata.max_lead_ns:
            raise RefusedError("time_ahead", _format_ahead(at_ms * 1_000_000 - receipt_ns, metadata))
    return at_ms


def _plausible_ns(name: str, value: Any) -> int:
    ns = unix_ns(value)
    if ns is None:
        what = "a unix time in s, ms, µs or ns, or ISO 8601, from 2001 to 2262"
        raise RefusedError("bad_time", f"{name} is not {what}: {str(value)[:40]}")
    return ns


def _format_ahead(ahead_ns: int, metadata: FrameMetadata) -> str:
    return (
        f"the event's time is {ahead_ns / 1e9:,.0f} s ahead of its receipt, at most {metadata.max_lead_ns / 1e9:g} "
        f"(MAX_CLOCK_LEAD_S): the clock of the exchange, the feed or this machine is wrong"
    )


def id_of(time_ns: int) -> int:
    """Return the id of an event to which the exchange gave none. Raises RefusedError: its time is none from 1970 to 2262."""
    if not 0 <= time_ns <= MAX_ID:
        raise RefusedError("bad_time", f"{time_ns} ns is no unix time until 2262")
    return NO_ID + time_ns


def symbol_and_venue(symbol: str, stream: StreamName | None, kind: Kind, venue: Venue) -> tuple[str, Venue]:
    """Return a symbol in upper case, and its venue: `venue` unless the symbol is one of COIN-M futures.

    Raises RefusedError: the stream is another symbol's, or of another kind.
    """
    symbol = symbol.upper()
    if stream is not None and stream.symbol != symbol:
        raise RefusedError("symbol_mismatch", f"the payload says {symbol}, the stream {stream.symbol}")
    if stream is not None and stream.kind != kind:
        raise RefusedError("kind_mismatch", f"the payload is of kind {kind}, the stream of kind {stream.kind}")
    return symbol, "coinm" if foreign(symbol) == "coinm" else venue


def refuse_crossed(bid: float, ask: float) -> None:
    """Raise RefusedError where the best bid is not below the best ask."""
    if bid >= ask:
        raise RefusedError("crossed", f"best bid {bid!r}, best ask {ask!r}")


def refuse_impossible_candle(prices: tuple[float, float, float, float]) -> None:
    """Raise RefusedError where open and close (the first and the last) are not between low and high."""
    first, high, low, last = prices
    if not low <= min(first, last) <= max(first, last) <= high:
        raise RefusedError("out_of_range", "open and close are not between low and high")


def refuse_odd_numbers(values: tuple[Any, ...]) -> None:
    """Refuse what pydantic takes for a number and no market means as one: `true` and "1_000"."""
    try:
        odd = "_" in "".join(values)
    except TypeError:  # Not only strings: JSON numbers are welcome, booleans are not.
        odd = any(isinstance(value, bool) or "_" in str(value) for value in values)
    if odd:
        raise RefusedError("not_a_number", "a boolean or an underscore among prices and quantities")
