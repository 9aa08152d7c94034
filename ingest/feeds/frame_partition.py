"""The partition that a frame is published to: that of its venue and symbol, as ingest will read them. Pure."""

from collections.abc import Callable
from functools import lru_cache

from tasks import frames
from tasks.events import KINDS, Event, Venue
from tasks.frames import neutral
from tasks.frames.model import MAX_SYMBOLS, FrameMetadata, parse_stream
from tasks.frames.symbols import symbol_of
from tasks.frames.timestamps import FIRST_NS
from tasks.protocol.routing import partition

#: Returns the partition of a frame, of which the name of its stream is known and its bytes.
Partitioner = Callable[[str, bytes], int]
#: Of what has no symbol.
_NO_SYMBOL = 0


def partitioner(partitions: int, venue: Venue | None) -> Partitioner | None:
    """Return what finds the partition of a frame; None: there are no partitions.

    `venue` is that of all streams whose names don't say it. None: one name may be of two venues, and frames are read.
    """
    if not partitions:
        return None
    return _by_reading(partitions) if venue is None else _by_name(partitions, venue)


def _by_name(partitions: int, venue: Venue) -> Partitioner:
    @lru_cache(maxsize=MAX_SYMBOLS)
    def of_name(stream: str) -> int:
        if stream.startswith(neutral.SUBJECTS):
            _, said, _, symbol = stream.split(".")
            return partition(said, symbol_of(symbol), partitions)
        parsed = parse_stream(stream)
        return partition(venue, parsed.symbol, partitions) if parsed else _NO_SYMBOL

    return lambda stream, _: of_name(stream)


def _by_reading(partitions: int) -> Partitioner:
    kinds = frozenset(KINDS)
    of_symbol = lru_cache(maxsize=MAX_SYMBOLS)(partition)

    def read(stream: str, raw: bytes) -> int:
        outcome = frames.parse(raw, FrameMetadata(stream, 1, FIRST_NS, kinds=kinds))
        return of_symbol(outcome.venue, outcome.symbol, partitions) if isinstance(outcome, Event) else _NO_SYMBOL

    return read
