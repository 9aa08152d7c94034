"""What the ledger holds of a shard, read when an epoch begins: each text is what belongs there, or an error names it.

A frontier that is too high would have frames skipped, and no other number tells. So it stands there twice: in its own
field, and in that of the checkpoint or claim that wrote it, with the epoch. Where the two differ both are returned: the
lower one counts, and what was applied after that is skipped. A release that does not write the second one has epochs of
its own, so the second is ignored where its epoch is not the stored one.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from ingest.ledger.damage import LedgerDamage
from ingest.sources.resume import LastFrame, is_stream
from tasks.errors import LedgerError
from tasks.events import Position
from tasks.ledger import LedgerKeys, damaged, read_position
from tasks.protocol.batches import Epoch
from tasks.protocol.routing import LaneId

#: The fields of which a `StoredShard` is made.
FIELDS = ("epoch", "frontier", "checkpoint", "counted", "read", "counted_of")


def read_epoch(stored: bytes, key: str) -> Epoch:
    """Return the epoch in the key of a shard. Raises LedgerError: it is something else."""
    try:
        return Epoch.parse(stored.decode())
    except ValueError:
        raise damaged(stored, "an epoch", f"{key} epoch") from None


def frames_read(stored: Mapping[str, bytes | None]) -> list[LastFrame]:
    """Return the frames that stand in the ledger as read. Raises LedgerError: one is something else.

    `stored` has for each place in the ledger the frame that it holds: those of shards, written every second, and those of
    their lanes, which have committed more since.
    """
    return [frame for where, held in stored.items() if (frame := _read_frame(held, where))]


def _read_frame(stored: bytes | None, where: str) -> LastFrame | None:
    try:
        return LastFrame.parse(stored.decode()) if stored else None
    except ValueError:
        raise damaged(stored or b"", "a frame that was read", where) from None


class StoredShard(NamedTuple):
    """The fields of one shard, as they are stored."""

    key: str
    epoch: bytes | None
    frontier: bytes | None
    checkpoint: bytes | None
    counted: bytes | None
    read: bytes | None
    #: By partition: see `ingest.ledger.counted`.
    counted_of: bytes | None = None

    @property
    def is_damaged(self) -> bool:
        """Whether the frontier is not what was written."""
        return self._again is not None and self.frontier != str(self._again).encode()

    @property
    def _again(self) -> Position | None:
        """The frontier that was written under the stored epoch; None: an earlier release wrote it, or nobody."""
        with suppress(ValueError):
            _, epoch, frontier = (self.checkpoint or b"").decode().split(" ")
            return Position.parse(frontier) if epoch.encode() == self.epoch else None
        return None

    def frontiers(self, damage: LedgerDamage) -> list[Position]:
        """Return the frontier, none if the shard never began; two where it stands there in two ways.

        Raises LedgerError: there is something else.
        """
        remedy = f"HSET {self.key} frontier SOURCE@0, with the source of its field counted: what was applied is skipped"
        where = f"{self.key} frontier"
        if not self.is_damaged:
            frontier = read_position(self.frontier, where, remedy)
            return [frontier] if frontier else []
        stored = (self.frontier or b"").decode(errors="replace")
        damage.record(where, f"held {stored!r}, and {str(self._again)!r} was written: the lower of the two counts")
        found = [self._again] if self._again else []
        with suppress(LedgerError):
            found += filter(None, [read_position(self.frontier, where)])
        return found

    def reached(self) -> list[Position]:
        """Return up to where frames are counted, if any are. Raises LedgerError: there is something else."""
        counted = read_position(self.counted, f"{self.key} counted")
        return [counted] if counted else []


def shards_that_began(
    found: Mapping[int, StoredShard], named: Collection[int], keys: LedgerKeys, damage: LedgerDamage
) -> tuple[list[StoredShard], bool]:
    """Return the shards that worked under the layout before, and whether it or a frontier of them is damaged.

    `named` are those that this layout names. Whoever has an epoch worked under it too: every change of the layout ends
    those of all others.
    """
    unnamed = [number for number, each in found.items() if number not in named and each.epoch]
    if unnamed:
        names = ", ".join(map(str, unnamed))
        damage.record(keys.layout, f"does not name shards that have begun under it ({names}), which count all the same")
    stored = [each for number, each in found.items() if number in named or number in unnamed]
    return stored, bool(unnamed) or any(each.is_damaged for each in stored)


def frontiers_of_lanes(key: str, standing: Iterable[Position | None], damage: LedgerDamage) -> list[Position]:
    """Return where a shard's lanes stand in a stream, none if they never began: for one whose own key is lost."""
    found = [each for each in standing if each and is_stream(each.source)]
    if found:
        damage.record(f"{key} frontier", "was gone: the lowest position of the shard's lanes counts")
    return found


def report_lost(
    frontiers: Iterable[Position],
    standing: Mapping[LaneId, Position | None],
    keys: LedgerKeys,
    damage: LedgerDamage,
) -> bool:
    """Return whether lanes of a shard that has begun on a stream stand nowhere; tell of their pools."""
    if not any(is_stream(each.source) for each in frontiers):
        return False
    lost = {lane.pool for lane, position in standing.items() if position is None}
    for pool in lost:
        damage.record(
            keys.pool(pool), "had lost where lanes stand: states, records and accounts that went too begin empty"
        )
    return bool(lost)
