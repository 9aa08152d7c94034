"""Both sides of a book, level by level, and how much of it is known. Pure.

A snapshot holds the best levels only, 1,000 or 5,000 on a side: whatever lies beyond its worst price stays unknown until
it changes, so the market may have levels there that the book has not. Each side therefore has a range in which every
level is known, and nothing outside it is kept. The top N is proved where the range holds N levels, or where the snapshot
held the whole side because the market had fewer levels than were asked for.

The range grows by one proof: while the best ask is at P, no bid can be at P or above, and later ones are told as they
come. So a range of bids reaches down to the lowest best ask that was ever seen, and that of asks up to the highest best
bid.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from math import inf
from typing import NamedTuple

#: As it was given: the exchange's own text, or a number.
Number = str | float
#: One price level: price and quantity.
QuotedLevel = tuple[Number, Number]


class TopLevels(NamedTuple):
    """The best levels of a book, best first, in the numbers that were given."""

    bids: list[QuotedLevel]
    asks: list[QuotedLevel]


class _BookSide:
    """One side of a book. Its keys rise towards the best price, where most changes are: lists are quickest at their end."""

    __slots__ = ("_keys", "_levels", "_sign", "known_from")

    def __init__(self, sign: int) -> None:
        """Begin without levels, of which all are known; `sign` is 1 for bids and -1 for asks."""
        self._sign = sign
        self._keys: list[float] = []
        self._levels: dict[float, QuotedLevel] = {}
        #: The key from which on every level is known.
        self.known_from = -inf

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def best(self) -> float | None:
        return self._keys[-1] if self._keys else None

    @property
    def worst(self) -> float | None:
        return self._keys[0] if self._keys else None

    def set(self, price: Number, quantity: Number) -> None:
        """Set a level; a quantity of zero removes it. Raises ValueError: one of them is no number of a market."""
        value, amount = float(price), float(quantity)
        if not (0 < value < inf and 0 <= amount < inf):
            raise ValueError(f"no price level: {price!r}, {quantity!r}")
        key = self._sign * value
        if key < self.known_from:
            return
        if amount:
            if key not in self._levels:
                insort(self._keys, key)
            self._levels[key] = (price, quantity)
        elif self._levels.pop(key, None):
            del self._keys[bisect_left(self._keys, key)]

    def top(self, levels: int) -> list[QuotedLevel]:
        return [self._levels[key] for key in self._keys[: -levels - 1 : -1]]

    def proves(self, levels: int) -> bool:
        return self.known_from == -inf or len(self._keys) >= levels


class OrderBook:
    """A book of levels, each told with its price and quantity."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        """Begin without levels, as a market that has none."""
        self.bids, self.asks = _BookSide(1), _BookSide(-1)

    def set(self, bids: Iterable[QuotedLevel], asks: Iterable[QuotedLevel]) -> None:
        """Set levels of both sides; a quantity of zero removes one. Raises ValueError: it is no price level."""
        for price, quantity in bids:
            self.bids.set(price, quantity)
        for price, quantity in asks:
            self.asks.set(price, quantity)

    def limit_range(self, *, bids: bool, asks: bool) -> None:
        """Take nothing beyond the worst level of these sides for known: where there is none, nothing at all."""
        for side, limited in ((self.bids, bids), (self.asks, asks)):
            if limited:
                side.known_from = inf if side.worst is None else side.worst

    def settle(self) -> bool:
        """Return whether the book is in order, after all changes of one moment; False: bids and asks cross.

        The ranges of both sides grow by what the best prices prove.
        """
        bid, ask = self.bids.best, self.asks.best
        if bid is not None and ask is not None and bid >= -ask:
            return False
        if ask is not None:
            self.bids.known_from = min(self.bids.known_from, -ask)
        if bid is not None:
            self.asks.known_from = min(self.asks.known_from, -bid)
        return True

    def proves(self, levels: int) -> bool:
        """Return whether the best `levels` of both sides are known, or all of a side that has fewer."""
        return self.bids.proves(levels) and self.asks.proves(levels)

    def top(self, levels: int) -> TopLevels | None:
        """Return the best `levels` of both sides, fewer where the market has fewer; None: they are not proved."""
        return TopLevels(self.bids.top(levels), self.asks.top(levels)) if self.proves(levels) else None
