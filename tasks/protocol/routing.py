"""Which lanes an event goes to. Pure: the same event goes to the same lanes on every machine, always."""

from collections.abc import Iterable
from typing import Literal, NamedTuple
from zlib import crc32

import msgspec

from tasks.events import Kind, Venue
from tasks.frames.model import MAX_SYMBOLS

#: The most lanes that a pool can have.
MAX_PARTITIONS = 1_024
#: Tables of the strategies file that version 1.0 can't read.
TABLES = ("paper", "shadow")


class LaneId(NamedTuple):
    """Identifies a lane: one ordered channel to the workers."""

    pool: str
    partition: int

    def __str__(self) -> str:
        """Return the form that logs, task ids and the ledger use: depth-3."""
        return f"{self.pool}-{self.partition}"


class Pool(msgspec.Struct, frozen=True):
    """A named set of strategies with its own Celery queue of the same name."""

    name: str
    #: The kinds of events that its strategies want.
    kinds: tuple[Kind, ...]
    #: "symbol": a state a symbol, lanes by symbol. "all": one state and one lane for all symbols.
    key: Literal["symbol", "all"] = "symbol"
    #: How many lanes, 1 to `MAX_PARTITIONS`; a pool keyed by "all" has one, whatever stands here.
    partitions: int = 8
    #: Only these symbols; empty for every symbol.
    symbols: frozenset[str] = frozenset()
    #: Which of `TABLES` the strategies file has, in whatever pool.
    tables: tuple[str, ...] = ()

    @property
    def lanes(self) -> tuple[LaneId, ...]:
        """All lanes of this pool, in the order of their numbers."""
        return tuple(LaneId(self.name, number) for number in range(1 if self.key == "all" else self.partitions))

    def lane_of(self, venue: Venue, symbol: str) -> LaneId:
        """Return the lane of a symbol's events."""
        lanes = self.lanes
        return lanes[partition(venue, symbol, len(lanes))]

    def wants(self, symbol: str, kind: Kind) -> bool:
        """Whether this pool's strategies see such an event."""
        return kind in self.kinds and (not self.symbols or symbol in self.symbols)


def partition(venue: Venue, symbol: str, partitions: int) -> int:
    """Return the partition of a symbol: crc32 of "venue:symbol", modulo `partitions`."""
    return crc32(f"{venue}:{symbol}".encode()) % partitions


def shard_of(lane: LaneId, shards: int) -> int:
    """Return the number of the shard that owns a lane; where each has a ledger of its own, that one holds it."""
    return lane.partition % shards


class Shard(NamedTuple):
    """One ingest process of several among which the lanes are split."""

    #: From 0.
    number: int
    total: int

    def __str__(self) -> str:
        """Return it as INGEST_SHARD has it: `0/1`."""
        return f"{self.number}/{self.total}"

    def owns(self, lane: LaneId) -> bool:
        """Whether the lane is this shard's; so the one lane of a pool keyed by `all` is shard 0's."""
        return shard_of(lane, self.total) == self.number


ALONE = Shard(0, 1)


class Router:
    """Maps (venue, symbol, kind) to lanes, with a cache."""

    def __init__(self, pools: Iterable[Pool], shard: Shard = ALONE, frame_partitions: int = 0) -> None:
        """Route to `pools`, in the order given, but only to the lanes that `shard` owns.

        `frame_partitions`: by how many partitions frames are published, of which shards read their own; 0: by none.
        """
        self.pools = tuple(pools)
        self.shard, self.frame_partitions = shard, frame_partitions
        self.lanes = tuple(lane for pool in self.pools for lane in pool.lanes if shard.owns(lane))
        self._known: dict[tuple[Venue, str, Kind], tuple[LaneId, ...]] = {}

    def wants(self, symbol: str, kind: Kind) -> bool:
        """Return whether any pool, of whichever shard, takes a symbol's events of a kind."""
        return any(pool.wants(symbol, kind) for pool in self.pools)

    def lanes_of(self, venue: Venue, symbol: str, kind: Kind) -> tuple[LaneId, ...]:
        """Return one lane for each pool that wants the event; none when no pool does."""
        key = (venue, symbol, kind)
        lanes = self._known.get(key)
        if lanes is None:
            if len(self._known) >= MAX_SYMBOLS:
                self._known.clear()
            wanted = (pool.lane_of(venue, symbol) for pool in self.pools if pool.wants(symbol, kind))
            lanes = self._known[key] = tuple(lane for lane in wanted if self.shard.owns(lane))
        return lanes
