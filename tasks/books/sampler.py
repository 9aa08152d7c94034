"""Books out of the level updates of historical files: the best N levels, at most one book an interval. Pure.

It takes what Tardis' `incremental_book_L2` and hftbacktest's npz files hold, one level a call:

    sampler = BookSampler(levels=20, interval_ms=100)
    for row in rows:
        if book := sampler.update(row.time_ns, row.received_ns, row.side, row.price, row.quantity, snapshot=row.is_snapshot):
            yield book
    if book := sampler.finish():
        yield book

Updates with the same pair of times are one message of the exchange: a book is only taken between two of them.
"""

from typing import Literal, NamedTuple

from tasks.books.order_book import Number, OrderBook, TopLevels


class SampledBook(NamedTuple):
    """The best levels of a book at a time, in the numbers of the file."""

    #: Unix nanoseconds: the exchange's time and that of receipt.
    time_ns: int
    received_ns: int
    levels: TopLevels


class BookSampler:
    """Keeps one symbol's book and takes a sample when the interval is over and something has changed.

    What changed within an interval comes at its end, as it does in the exchange's own `@100ms` streams: nothing that was
    not known by a sample's time is in it. A sample is complete, or withheld and counted in `unproved`: of a snapshot
    nothing is known beyond its worst levels, and before the first one nothing at all (`order_book` has the rules). Where
    snapshots hold every level of the market, say `whole_snapshots`: also a file without any then begins with an empty book.
    """

    def __init__(self, levels: int = 20, interval_ms: int = 100, *, whole_snapshots: bool = False) -> None:
        """Begin before the first update."""
        self._levels = levels
        self._interval_ns = interval_ms * 1_000_000
        self._whole = whole_snapshots
        self._book = OrderBook()
        #: The times of the message that is being taken in, and whether it is part of a snapshot.
        self._time_ns = self._received_ns = 0
        self._in_snapshot = False
        self._changed = False
        #: When the next sample may be taken.
        self._due_ns = 0
        #: Samples that were withheld: incomplete ones, and those whose bids and asks cross.
        self.unproved = 0
        self.crossed = 0
        self.clear()

    def clear(self) -> None:
        """Forget the book: until the next snapshot nothing is known."""
        self._book = OrderBook()
        if not self._whole:
            self._book.limit_range(bids=True, asks=True)

    def update(
        self,
        time_ns: int,
        received_ns: int,
        side: Literal["bid", "ask"],
        price: Number,
        quantity: Number,
        *,
        snapshot: bool = False,
    ) -> SampledBook | None:
        """Take in a level's new quantity; zero removes it. Return the book before it, when a sample was due before `time_ns`.

        The first level of a snapshot replaces the whole book. Raises ValueError: a price or a quantity is no number of a
        market; the update is then ignored.
        """
        book = None
        if time_ns != self._time_ns or received_ns != self._received_ns:
            book = self._end_message(time_ns)
            self._time_ns, self._received_ns = time_ns, received_ns
        if snapshot != self._in_snapshot:
            self._end_snapshot()
            if snapshot:
                self._book = OrderBook()
            self._in_snapshot = snapshot
        (self._book.bids if side == "bid" else self._book.asks).set(price, quantity)
        self._changed = True
        return book

    def finish(self) -> SampledBook | None:
        """Return the last book, if it has changed since the last sample. Call it after the last update."""
        return self._end_message(None)

    def _end_snapshot(self) -> None:
        if self._in_snapshot:
            self._in_snapshot = False
            if not self._whole:
                self._book.limit_range(bids=True, asks=True)

    def _end_message(self, next_ns: int | None) -> SampledBook | None:
        """End the message; return a sample if one is due before the time of the next message."""
        self._end_snapshot()
        in_order = self._book.settle()
        time_ns = max(self._time_ns, self._due_ns)
        # A snapshot may come without a time.
        if not self._changed or self._time_ns <= 0 or (next_ns is not None and next_ns <= time_ns):
            return None
        self._changed = False
        self._due_ns = time_ns + self._interval_ns
        levels = self._book.top(self._levels) if in_order else None
        self.crossed += not in_order
        self.unproved += in_order and levels is None
        return SampledBook(time_ns, self._received_ns + time_ns - self._time_ns, levels) if levels else None
