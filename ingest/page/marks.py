"""The marks of signals in the charts: of each symbol the last ones, as the prices beside them are kept for hours. Pure.

A mark is kept as the JSON that is sent: 136 bytes in memory (measured), as an object it would be 226.
"""

from collections import OrderedDict, deque

import msgspec

from ingest.page.market import MAX_SYMBOLS

#: Of each symbol; the oldest go first.
MARKS_KEPT = 500
#: A signal whose names are longer together has no mark.
NAME_CHARACTERS = 200

_encode = msgspec.json.Encoder().encode


class Mark(msgspec.Struct, array_like=True):
    """What is drawn of a signal, and the id by which all of it is found."""

    id: str
    strategy: str
    action: str
    price: float
    event_time_ms: int


class Marks:
    """Of the symbols that had a signal last, as many as have a chart."""

    def __init__(self) -> None:
        self._packed: OrderedDict[tuple[str, str], deque[bytes]] = OrderedDict()

    def add(self, venue: str, symbol: str, mark: Mark) -> None:
        """Take that of a new signal."""
        if sum(map(len, (venue, symbol, mark.id, mark.strategy, mark.action))) > NAME_CHARACTERS:
            return
        key = venue, symbol
        self._packed.setdefault(key, deque(maxlen=MARKS_KEPT)).append(_encode(mark))
        self._packed.move_to_end(key)
        if len(self._packed) > MAX_SYMBOLS:
            self._packed.popitem(last=False)

    def packed(self, venue: str, symbol: str) -> msgspec.Raw:
        """Return those of a symbol as JSON, the newest last."""
        return msgspec.Raw(b"[%b]" % b",".join(self._packed.get((venue, symbol), ())))
