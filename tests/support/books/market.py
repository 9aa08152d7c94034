"""A market whose true book is known at every id, as an exchange tells it: diffs and snapshots."""

import random
from typing import Any, NamedTuple

from tasks.books.diffs import Diff, Snapshot, TextLevel

TIME_MS = 1_763_793_009_000
#: Prices are whole numbers below this: few, so that levels come and go.
PRICES = 60


class TrueBook(NamedTuple):
    """All levels, best first."""

    bids: list[TextLevel]
    asks: list[TextLevel]

    def top(self, levels: int) -> tuple[list[TextLevel], list[TextLevel]]:
        return self.bids[:levels], self.asks[:levels]


class Market:
    """Changes one level with every id; `history[id]` is the book that the exchange has at that id."""

    def __init__(
        self, seed: int, venue: str = "spot", first_id: int = 1000, symbol: str = "BTCUSDT", fewest: int = 0
    ) -> None:
        """`fewest` is how many levels each side always has."""
        self._dice = random.Random(seed)
        self.venue, self.symbol, self._fewest = venue, symbol, fewest
        self._bids = dict.fromkeys(range(PRICES // 2 - 10, PRICES // 2), "1.50")
        self._asks = dict.fromkeys(range(PRICES // 2, PRICES // 2 + 10), "2.00")
        self.id = self._told = first_id
        self.history: dict[int, TrueBook] = {}
        self._note()

    def _note(self) -> None:
        bids = [(f"{price}.00", self._bids[price]) for price in sorted(self._bids, reverse=True)]
        asks = [(f"{price}.00", self._asks[price]) for price in sorted(self._asks)]
        self.history[self.id] = TrueBook(bids, asks)

    def diff(self, changes: int = 3) -> Diff:
        """Let the market change so many levels; return the diff, which names each changed level once."""
        first = self.id + 1
        changed: tuple[dict[int, str], dict[int, str]] = ({}, {})
        for _ in range(changes):
            # The ids of futures are of all symbols.
            self.id += 1 if self.venue == "spot" else self._dice.randint(1, 3)
            self._change(changed)
            self._note()
        after, self._told = self._told, self.id
        bids, asks = (tuple((f"{price}.0", quantity) for price, quantity in side.items()) for side in changed)
        time_ms = TIME_MS + 100 * len(self.history)
        if self.venue == "spot":
            return Diff(self.symbol, time_ms, first, self.id, bids, asks)
        return Diff(self.symbol, time_ms, first, self.id, bids, asks, time_ms - 3, after)

    def _change(self, changed: tuple[dict[int, str], dict[int, str]]) -> None:
        """Set or remove one level, so that bids and asks never cross."""
        side = self._dice.randint(0, 1)
        best_bid, best_ask = max(self._bids, default=0), min(self._asks, default=PRICES)
        levels = (self._bids, self._asks)[side]
        if len(levels) > self._fewest and self._dice.random() < 0.5:
            # Mostly near the best price, so that the market moves.
            ranked = sorted(levels, reverse=side == 0)
            price, quantity = ranked[min(int(self._dice.expovariate(0.5)), len(ranked) - 1)], "0.00"
            del levels[price]
        else:
            low, high = (1, best_ask - 1) if side == 0 else (best_bid + 1, PRICES)
            if low > high:
                return
            price, quantity = self._dice.randint(low, high), f"{self._dice.randint(1, 9)}.50"
            levels[price] = quantity
        changed[side][price] = quantity

    def book(self, book_id: int) -> TrueBook:
        """Return the book at an id, also between those at which this symbol changed."""
        return self.history[max(known for known in self.history if known <= book_id)]

    def answer(self, limit: int, book_id: int | None = None) -> dict[str, Any]:
        """Return what the REST interface answers, now or as it was at an id."""
        at = self.id if book_id is None else book_id
        bids, asks = self.book(at).top(limit)
        return {"lastUpdateId": at, "bids": bids, "asks": asks}

    def snapshot(self, limit: int, book_id: int | None = None) -> Snapshot:
        answer = self.answer(limit, book_id)
        return Snapshot(answer["lastUpdateId"], answer["bids"], answer["asks"], limit)


def combined(*diffs: Diff) -> Diff:
    """Return one diff in place of several that follow each other, as another connection may cut them."""
    first, last = diffs[0], diffs[-1]
    bids = {float(price): (price, quantity) for diff in diffs for price, quantity in diff.b}
    asks = {float(price): (price, quantity) for diff in diffs for price, quantity in diff.a}
    return Diff(last.s, last.E, first.U, last.u, tuple(bids.values()), tuple(asks.values()), last.T, first.pu)


def frame(diff: Diff, stream: str | None = None) -> dict[str, Any]:
    """Return a diff as the exchange's combined stream sends it."""
    data = {"e": "depthUpdate", "E": diff.E, "s": diff.s, "U": diff.U, "u": diff.u, "b": diff.b, "a": diff.a}
    if diff.pu is not None:
        data |= {"T": diff.T, "pu": diff.pu}
    return {"stream": stream or f"{diff.s.lower()}@depth@100ms", "data": data}
