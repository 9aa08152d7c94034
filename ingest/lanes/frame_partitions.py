"""Which partitions of the frames a shard reads, and which of them are its own. Pure.

A symbol's partition is the crc32 of "venue:symbol" modulo NATS_PARTITIONS, as its lane is that modulo its pool's
partitions. Where both numbers are multiples of the number of shards, a symbol's frames and its lanes are one shard's.
The one lane of a pool keyed by `all` is shard 0's, which reads what this pool takes beside its own partitions.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from tasks.errors import SettingsError
from tasks.events import AnyEvent, Venue
from tasks.frames.model import MAX_SYMBOLS, RefusedFrame
from tasks.frames.subjects import FrameSubjects, partition_of
from tasks.protocol.routing import MAX_PARTITIONS, Pool, Shard, partition

REASON = "wrong_partition"
#: Subjects below this are those of Binance's markets, whose partitions are known from the symbol.
_BINANCE = "binance"
_MARKETS: tuple[Venue, ...] = ("spot", "usdm", "coinm")


class FramePartitions:
    """The partitions of one shard."""

    def __init__(self, subjects: FrameSubjects, shard: Shard, pools: Iterable[Pool]) -> None:
        """Raises SettingsError: a symbol's frames and its lanes would be those of different shards."""
        self._subjects, self._shard, pools = subjects, shard, tuple(pools)
        self._total = subjects.partitions
        _check(self._total, shard, pools)
        shared = [pool for pool in pools if pool.key == "all" and shard.total > 1]
        #: The symbols of pools keyed by `all`, and their partitions.
        self._shared_symbols = frozenset[str]().union(*(pool.symbols for pool in shared))
        self._shared = frozenset(
            partition(venue, symbol, self._total) for venue in _MARKETS for symbol in self._shared_symbols
        )
        self.misplaced = lru_cache(maxsize=MAX_SYMBOLS)(self._misplaced)
        self._partition_of = lru_cache(maxsize=MAX_SYMBOLS)(partition_of)

    def _is_own(self, number: int) -> bool:
        return number % self._shard.total == self._shard.number

    @property
    def read(self) -> Sequence[str]:
        """The subjects that the shard subscribes to."""
        if self._shard.total == 1:
            return self._subjects.all
        found: list[str] = []
        for pattern in self._subjects.patterns:
            shared = self._shared if pattern.partition(".")[0] == _BINANCE else self._shared and range(self._total)
            beside = shared if self._shard.number == 0 else ()
            numbers = (number for number in range(self._total) if self._is_own(number) or number in beside)
            found += FrameSubjects((pattern,), self._total).of(numbers)
        return list(dict.fromkeys(found))

    @property
    def hears_strays(self) -> bool:
        """Whether this shard listens for frames that no shard reads: shard 0 does, and alone it reads all there are."""
        return self._shard.number == 0 and self._shard.total > 1

    @property
    def unpartitioned(self) -> Sequence[str]:
        """The subjects of frames without a partition. Some of them take what has one, too."""
        return self._subjects.unpartitioned

    @property
    def beyond(self) -> Sequence[str]:
        """The subjects of partitions that there are not."""
        return self._subjects.of(range(self._total, MAX_PARTITIONS))

    def owned(self, subject: str) -> int | None:
        """Return the partition of a frame that this shard counts; None: another one does.

        What no partition is named for is shard 0's, as partition 0 is.
        """
        number = self._partition_of(subject) or 0
        number = number if number < self._total else 0
        return number if self._is_own(number) else None

    def refuse(self, event: AnyEvent, subject: str) -> RefusedFrame | None:
        """Return why an event is refused for the subject that its frame came on; None: it is where it belongs."""
        return self.misplaced(event.venue, event.symbol, subject)

    def _misplaced(self, venue: Venue, symbol: str, subject: str) -> RefusedFrame | None:
        number, right = partition_of(subject), partition(venue, symbol, self._total)
        if number != right:
            came = f"on {subject[:100]}" if number is None else f"in partition {number}"
            detail = f"{venue} {symbol} is of partition {right} of {self._total} (NATS_PARTITIONS), and came {came}"
            return RefusedFrame(REASON, detail)
        if symbol in self._shared_symbols and venue not in _MARKETS and subject.partition(".")[0] == _BINANCE:
            detail = f"{venue} {symbol} came on {subject[:100]}, where a pool keyed all gets frames of Binance only"
            return RefusedFrame(REASON, detail)
        return None


def _check(total: int, shard: Shard, pools: Iterable[Pool]) -> None:
    if total % shard.total:
        raise SettingsError(
            f"NATS_PARTITIONS {total} is no multiple of the {shard.total} shards (INGEST_SHARD {shard})"
        )
    for pool in pools:
        if pool.key == "symbol" and pool.partitions % shard.total:
            raise SettingsError(
                f"with NATS_PARTITIONS, the {pool.partitions} partitions of pool {pool.name} must be a multiple of the "
                f"{shard.total} shards (INGEST_SHARD {shard})"
            )
        if pool.key == "all" and not pool.symbols and shard.total > 1:
            raise SettingsError(
                f"with NATS_PARTITIONS and {shard.total} shards, pool {pool.name}, keyed all, must name its symbols: "
                "shard 0 reads their partitions for it"
            )


def frame_partitions(subjects: FrameSubjects, shard: Shard, pools: Iterable[Pool]) -> FramePartitions | None:
    """Return a shard's partitions; None: subjects have none. Raises SettingsError, as `FramePartitions`."""
    return FramePartitions(subjects, shard, pools) if subjects.partitions else None
