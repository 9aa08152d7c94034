"""Venue-neutral frames made of the rows of files: without ids, in an order that their times never leave."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from tasks.books import BookSampler
from tasks.books.sampler import SampledBook
from tasks.errors import RecordingError
from tasks.events import Kind
from tasks.frames import neutral
from tasks.frames.model import MAX_PRICE, sides
from tasks.frames.symbols import token
from tasks.history.input_report import InputReport
from tasks.history.recording_line import LineError, RecordingLine

#: How many levels a book has that is made of level updates.
LEVELS = 20
#: A number as JSON has it.
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
TextLevel = tuple[str | float, str | float]
Side = Literal["bid", "ask"]


def positive(text: str | float, name: str) -> str:
    """Return a price or a quantity as JSON has it. Raises LineError: it is no number above zero."""
    said = str(text)
    if not _NUMBER.fullmatch(said) or not 0 < float(said) <= MAX_PRICE:
        raise LineError(f"bad_{name}", f"has no {name} in {said[:40]!r}")
    return said


def tell_withheld(report: InputReport, path: Path, symbol: str, sampler: BookSampler) -> None:
    """Note how many books of a symbol could not be made."""
    if sampler.unproved:
        report.note(
            f"{path}: {sampler.unproved:,} books of {symbol} are left out, because no snapshot says what their best "
            f"{LEVELS} levels are"
        )
    if sampler.crossed:
        report.note(f"{path}: {sampler.crossed:,} books of {symbol} are left out, because their bids and asks cross")


def update(
    sampler: BookSampler, times_ns: tuple[int, int], side: Side, level: TextLevel, *, snapshot: bool
) -> SampledBook | None:
    """Give a sampler a level; return the book before it, if one is due. Raises LineError: it is none."""
    wrong = LineError("bad_level", "has no price level in {!r}, {!r}".format(*(str(number)[:40] for number in level)))
    if not all(_NUMBER.fullmatch(str(number)) and float(number) <= MAX_PRICE for number in level):
        raise wrong
    try:
        return sampler.update(*times_ns, side, *level, snapshot=snapshot)
    except ValueError:
        raise wrong from None


class NeutralRows:
    """The frames of one symbol of one venue."""

    def __init__(self, venue: str, symbol: str) -> None:
        """Raises RecordingError: a frame can't have that venue."""
        if not neutral.said_subject(venue, "trade", symbol):
            raise RecordingError(f"{venue!r} can't be a venue: it takes a to z, 0 to 9, _ and -")
        self._venue, self._symbol = venue, symbol
        self._head = msgspec.json.encode({"schema": neutral.SCHEMA, "venue": venue, "symbol": symbol})[:-1].decode()
        self._last_ns: dict[Kind, int] = {}

    def trade(
        self, time_ns: int, received_ns: int, price: str | float, quantity: str | float, side: str
    ) -> RecordingLine:
        """Return a trade; `side` is the taker's. Raises LineError."""
        if side not in {"buy", "sell"}:
            raise LineError("no_side", f"has no side of the taker in {side[:40]!r}")
        fields = f'"price":{positive(price, "price")},"quantity":{positive(quantity, "quantity")},"side":"{side}"'
        return self._line("trade", time_ns, received_ns, fields)

    def depth(
        self, time_ns: int, received_ns: int, bids: Iterable[TextLevel], asks: Iterable[TextLevel]
    ) -> RecordingLine:
        """Return a book. Raises LineError, and RefusedError: its levels are not in order."""
        both = [
            [(positive(price, "price"), positive(quantity, "quantity")) for price, quantity in side]
            for side in (bids, asks)
        ]
        sides(*([(float(price), float(quantity)) for price, quantity in side] for side in both))
        texts = (",".join(f"[{price},{quantity}]" for price, quantity in side) for side in both)
        return self._line("depth", time_ns, received_ns, '"bids":[{}],"asks":[{}]'.format(*texts))

    def book(self, book: SampledBook | None) -> RecordingLine | None:
        """Return a sampled book, if it is there and has both sides."""
        if book is None or not (book.levels.bids and book.levels.asks):
            return None
        return self.depth(book.time_ns, book.received_ns, *book.levels)

    def _line(self, kind: Kind, time_ns: int, received_ns: int, fields: str) -> RecordingLine:
        # An event without an id whose time is before the last one's would be taken for a repeat.
        time_ns = self._last_ns[kind] = max(time_ns, self._last_ns.get(kind, 0))
        raw = f'{self._head},"kind":"{kind}","time":{time_ns},"received_at":{received_ns},{fields}}}'
        return RecordingLine(raw.encode(), f"{neutral.SUBJECTS}{self._venue}.{kind}.{token(self._symbol)}", received_ns)
