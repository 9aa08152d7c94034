"""What ccxt gives of trades and books, as venue-neutral frames. Pure.

ccxt gives the last trades once more after each new connection, and a few exchanges give no ids, or ids that are no
numbers. A venue's events have ids that rise or are ordered by time: ingest takes anything else for a repeat.
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec

from tasks.frames.model import MAX_ID
from tasks.frames.neutral import SCHEMA

#: So many trades of a symbol are remembered, to know those that come again. ccxt keeps 1,000.
REMEMBERED = 10_000
#: After so many books without a time the exchange is one that tells none.
TIMELESS_BOOKS = 2
_UNFIT = re.compile("[^a-z0-9_-]")


def venue_of(exchange: str) -> str:
    """Return the venue of an exchange's markets: its name in ccxt."""
    return _UNFIT.sub("-", exchange.lower())[:32]


class TradeFrames:
    """Makes frames of the trades of one symbol, each trade once."""

    def __init__(self, venue: str, symbol: str) -> None:
        self._head = {"schema": SCHEMA, "venue": venue, "kind": "trade", "symbol": symbol}
        #: How often each of the last trades was seen, by what tells it from others.
        self._seen: OrderedDict[Hashable, int] = OrderedDict()
        #: Whether the symbol's ids are numbers; None: no trade has come yet.
        self._numbered: bool | None = None
        #: Trades that are none: without a side, a price or a quantity.
        self.unusable = 0

    def frames(self, trades: Sequence[Mapping[str, Any]], received_at_ns: int) -> list[bytes]:
        """Return the frames of those that are new, by time."""
        found: Counter[Hashable] = Counter()
        made = []
        for trade in sorted(trades, key=lambda trade: (trade.get("timestamp") or 0, _number(trade.get("id")) or 0)):
            key = trade.get("id") or _all_that_is_known(trade)
            # Equal trades without ids that come together are several; those that come later are the same again.
            found[key] = 1 if trade.get("id") else found[key] + 1
            if found[key] <= self._seen.get(key, 0):
                continue
            self._remember(key, found[key])
            if frame := self._frame(trade, received_at_ns):
                made.append(frame)
            else:
                self.unusable += 1
        return made

    def _remember(self, key: Hashable, count: int) -> None:
        self._seen[key] = count
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _frame(self, trade: Mapping[str, Any], received_at_ns: int) -> bytes | None:
        side, price, quantity = trade.get("side"), trade.get("price"), trade.get("amount")
        if side not in {"buy", "sell"} or not price or not quantity:
            return None
        number = _number(trade.get("id"))
        if self._numbered is None:
            self._numbered = number is not None
        document = self._head | {"price": price, "quantity": quantity, "side": side, "received_at": received_at_ns}
        if trade.get("timestamp"):
            document["time"] = trade["timestamp"]
        if self._numbered:
            # One without a number among others that have one has no place among them.
            if number is None:
                return None
            document["id"] = number
        return msgspec.json.encode(document)


def _all_that_is_known(trade: Mapping[str, Any]) -> Hashable:
    return trade.get("timestamp"), trade.get("price"), trade.get("amount"), trade.get("side")


def _number(said: Any) -> int | None:
    """Return an id as a number; None: it is none that an event can have."""
    text = str(said) if said is not None else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= MAX_ID else None


class BookFrames:
    """Makes frames of the book of one symbol."""

    def __init__(self, venue: str, symbol: str, levels: int) -> None:
        """Take the best `levels` of each side."""
        self._head = {"schema": SCHEMA, "venue": venue, "kind": "depth", "symbol": symbol}
        self._levels = levels
        #: The last id; None: the exchange gives none.
        self._id: int | None = -1
        self._nonce: int | None = None
        #: How far ids are ahead of nonces.
        self._ahead = 0
        self._timed = False
        self._timeless = 0

    def frame(self, book: Mapping[str, Any], received_at_ns: int) -> bytes | None:
        """Return the frame of a book; None where it can't be used, or is the last one unchanged."""
        bids, asks = (self._side(book[name]) for name in ("bids", "asks"))
        time_ms, nonce = book.get("timestamp"), _number(book.get("nonce"))
        if not (bids and asks) or not self._has_its_time(time_ms):
            return None
        if self._id is not None:
            if nonce is not None and nonce == self._nonce:
                return None
            self._id = self._next_id(self._id, nonce)
        self._nonce = nonce
        document = self._head | {"bids": bids, "asks": asks, "received_at": received_at_ns}
        if time_ms:
            document["time"] = time_ms
        if self._id is not None:
            document["id"] = self._id
        return msgspec.json.encode(document)

    def _next_id(self, last: int, nonce: int | None) -> int | None:
        """Return the id of a book: its nonce, but always above the last id, or ingest would take it for a repeat."""
        if nonce is None:
            return last + 1 if 0 <= last < MAX_ID else None
        self._ahead = max(self._ahead, last + 1 - nonce)
        return nonce + self._ahead if nonce + self._ahead <= MAX_ID else None

    def _side(self, levels: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
        return [(level[0], level[1]) for level in levels[: self._levels] if level[1]]

    def _has_its_time(self, time_ms: int | None) -> bool:
        """Whether a book may go.

        A first snapshot often has no time and the updates after it have one. Ordered by our clock and theirs, the
        updates would seem to be older.
        """
        self._timed |= bool(time_ms)
        self._timeless += not time_ms
        return bool(time_ms) or (not self._timed and self._timeless >= TIMELESS_BOOKS)
