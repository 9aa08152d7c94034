"""What the two readers of frames share: what is known of a frame beside its bytes, and what a book and a time must be."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from operator import ge, le
from typing import Any, NamedTuple

import msgspec

from tasks.events import Kind, Level

MAX_FRAME_BYTES = 1024 * 1024
#: Longer names are no stream's; the bound keeps `parse_stream` from remembering megabytes.
MAX_STREAM_CHARS = 128
MAX_LEVELS = 20
MAX_PRICE = 1e15
MAX_ID = 2**63 - 1
MAX_TIME_MS = 10**14
#: What the futures market calls a trade of its book.
MARKET_TRADES = ("MARKET", "RPI")


class Skipped(msgspec.Struct, frozen=True):
    """A frame of another kind."""

    kind: str


class Refused(msgspec.Struct, frozen=True):
    """A malformed frame."""

    #: One of a small fixed set of words, good for a metric's label.
    reason: str
    #: What exactly is wrong, for a person.
    detail: str


class RefusedError(Exception):
    """A frame is refused."""

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


def parse_stream(name: str) -> Stream | None:
    """Read a stream's name; None when it is none. `kind` is None for streams that are not ours."""
    return _parse_stream(name) if len(name) <= MAX_STREAM_CHARS else None


@lru_cache(maxsize=8192)
def _parse_stream(name: str) -> Stream | None:
    match = _STREAM.fullmatch(name)
    if match is None:
        return None
    kind: Kind | None = "depth" if match["depth"] else "trade" if match["trade"] else None
    return Stream(match["symbol"].upper(), kind)


def sides(bids: Sequence[Level], asks: Sequence[Level]) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Give both sides of a book, best first. Raises RefusedError: they are no book."""
    if not bids or not asks:
        raise RefusedError("empty_side", f"{len(bids)} bids, {len(asks)} asks")
    bid_prices, ask_prices = [level[0] for level in bids], [level[0] for level in asks]
    if any(map(le, bid_prices, bid_prices[1:])):
        raise RefusedError("unsorted", "bids do not fall")
    if any(map(ge, ask_prices, ask_prices[1:])):
        raise RefusedError("unsorted", "asks do not rise")
    if bids[0][0] >= asks[0][0]:
        raise RefusedError("crossed", f"best bid {bids[0][0]!r}, best ask {asks[0][0]!r}")
    return tuple(bids), tuple(asks)


def time_ms(received_at: Any, timestamp: Any, arrival: Arrival) -> int:
    """Give the time of a payload that has none, unix milliseconds. Raises RefusedError."""
    if received_at is not None:
        if type(received_at) is not int or not 10**6 <= received_at < 2**63:
            raise RefusedError("bad_time", f"received_at is no time in unix nanoseconds: {str(received_at)[:40]}")
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
        raise RefusedError("bad_time", f"timestamp is not ISO 8601: {str(timestamp)[:40]}") from None
    if not 0.001 <= utc_s < 2**63 / 1e9:
        raise RefusedError("bad_time", f"timestamp before 1970 or after 2262: {timestamp[:40]}")
    return int(utc_s * 1000)
