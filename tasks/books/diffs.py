"""What a local book is made from: diff depth of the exchange's streams, and snapshots of its REST interface. Pure."""

import msgspec

from tasks.books.order_book import OrderBook
from tasks.errors import UNREADABLE

#: Numbers of levels at which servers cut their answers, whatever more is asked for.
_CUTS = frozenset({100, 500, 1000})
#: Price and quantity in the exchange's own text.
TextLevel = tuple[str, str]


class Diff(msgspec.Struct, gc=False):
    """What changed between two ids: a `depthUpdate`, with the exchange's names."""

    s: str
    #: When, in unix milliseconds; `T` and `pu` are those of futures only.
    E: int
    #: The first and the last id.
    U: int
    u: int
    b: tuple[TextLevel, ...]
    a: tuple[TextLevel, ...]
    T: int | None = None
    #: The last id of the diff before.
    pu: int | None = None
    #: When the feed received it, in unix nanoseconds.
    received_at_ns: int = 0

    @property
    def after(self) -> int:
        """The id of a book to which it can be applied, or any later one up to `u`."""
        return self.U - 1 if self.pu is None else self.pu


class _Frame(msgspec.Struct, gc=False):
    data: Diff
    received_at: int = 0


class _RestSnapshot(msgspec.Struct, gc=False):
    lastUpdateId: int  # noqa: N815 the exchange's name
    bids: list[TextLevel]
    asks: list[TextLevel]


_decode_frame = msgspec.json.Decoder(_Frame).decode
_NO_SNAPSHOT: tuple[type[Exception], ...] = (*UNREADABLE, ValueError)
_decode_snapshot = msgspec.json.Decoder(_RestSnapshot).decode


def read_diff(raw: bytes) -> Diff | None:
    """Read the frame of a diff stream, `{"stream","data","received_at"}`; None: it is none."""
    try:
        frame = _decode_frame(raw)
    except UNREADABLE:
        return None
    frame.data.received_at_ns = frame.received_at
    return frame.data


class Snapshot:
    """A book at one id. It becomes the local book that it seeds, so each can be used once."""

    __slots__ = ("book", "last_update_id")

    def __init__(
        self, last_update_id: int, bids: list[TextLevel], asks: list[TextLevel], limit: int | None = None
    ) -> None:
        """Take the best levels, at most `limit` a side; None: these are all. Raises ValueError: one is no level.

        A side with fewer levels than `limit` is the market's whole side, unless it looks as if a lower limit had held.
        """
        self.last_update_id = last_update_id
        self.book = OrderBook()
        # The best last: that is where lists are quickest.
        self.book.set(bids[::-1], asks[::-1])
        if limit is not None:
            self.book.limit_range(bids=_may_be_cut(len(bids), limit), asks=_may_be_cut(len(asks), limit))


def _may_be_cut(levels: int, limit: int) -> bool:
    return levels >= limit or levels in _CUTS


def read_snapshot(raw: bytes, limit: int) -> Snapshot | None:
    """Read the answer to a request for `limit` levels a side; None: it is no snapshot. Takes milliseconds."""
    try:
        answer = _decode_snapshot(raw)
        return Snapshot(answer.lastUpdateId, answer.bids, answer.asks, limit)
    except _NO_SNAPSHOT:
        return None
