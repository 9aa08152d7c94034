"""The split of the lanes: how many ingest processes, and how many partitions each pool has. Pure."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from tasks.errors import UNREADABLE, LedgerError, SettingsError
from tasks.ledger.keys import MOVING
from tasks.protocol.routing import MAX_PARTITIONS, LaneId, Router
from tasks.settings.values import MAX_SHARDS


class StoredLayout(msgspec.Struct, omit_defaults=True):
    """A layout as the ledger has it."""

    #: How many; 0: none was stored.
    shards: Annotated[int, msgspec.Meta(ge=0, le=MAX_SHARDS)]
    partitions: dict[str, Annotated[int, msgspec.Meta(ge=0, le=MAX_PARTITIONS)]]
    #: By how many partitions frames are published; 0, and left out: by none.
    frames: Annotated[int, msgspec.Meta(ge=0, le=MAX_PARTITIONS)] = 0
    #: How many ledgers there are, and of which shard this one is; 0, and left out: there is one, of all.
    ledgers: Annotated[int, msgspec.Meta(ge=0, le=MAX_SHARDS)] = 0
    ledger: Annotated[int, msgspec.Meta(ge=0, lt=MAX_SHARDS)] = 0


class Layout:
    """The layout that the ledger must hold, and the lanes of it that this shard owns."""

    def __init__(self, router: Router, *, has_own_ledger: bool = False) -> None:
        """`has_own_ledger`: each shard has one, in which nothing of another one is."""
        lanes = {pool.name: len(pool.lanes) for pool in router.pools}
        self._stored = StoredLayout(router.shard.total, lanes, router.frame_partitions)
        if has_own_ledger:
            self._stored.ledger, self._stored.ledgers = router.shard
        self.shard, self.frame_partitions = router.shard.number, router.frame_partitions
        self._has_own_ledger = has_own_ledger
        self.lanes: tuple[LaneId, ...] = router.lanes

    def check_ledger(self, before: bytes, key: str = "layout") -> None:
        """Check that what the ledger has under the layout `before` belongs there; `key` is where that was stored.

        Raises SettingsError, and LedgerError: `before` is no layout.
        """
        stored = check_place(before, self._stored, key)
        if not stored.shards:
            return
        shared = [pool for pool in stored.partitions.keys() & self._stored.partitions if self._moves(pool, stored)]
        if self._has_own_ledger and shared:
            raise SettingsError(
                f"pool {shared[0]} is keyed in another way than before, so that its records belong into other ledgers: "
                "stop all shards and move them (`./run ingest move-ledger --help`)"
            )

    def check_first(self, first: bytes) -> None:
        """Check that the first shard's ledger, with the layout `first`, is of as many ledgers: this one is empty.

        Raises as `check_ledger`.
        """
        refuse_moving(first)
        if (stored := decode(first)).shards and stored.ledgers != self._stored.ledgers:
            raise SettingsError(
                f"LEDGER_URLS: the first of them is {place(stored)}, so that the ledger has to be moved first: stop all "
                "shards (`./run ingest move-ledger --help`)"
            )

    def _moves(self, pool: str, stored: StoredLayout) -> bool:
        """Return whether a pool's symbols were all in one lane and are in several, or the other way round."""
        return (stored.partitions[pool] == 1) != (self._stored.partitions[pool] == 1)

    def encode(self) -> bytes:
        """Return the form in which the ledger stores it."""
        return msgspec.json.encode(self._stored, order="sorted")

    def other_shards(self, before: bytes) -> list[int]:
        """Return the numbers of the other shards, of this layout and of the one stored before (empty: none).

        None where each has a ledger of its own. Raises LedgerError: what was stored before is no layout.
        """
        if self._has_own_ledger:
            return []
        count = max(self._stored.shards, decode(before).shards)
        return [number for number in range(count) if number != self.shard]

    def shards_before(self, before: bytes) -> Sequence[int]:
        """Return the numbers of the shards that worked on this one's lanes before: itself, if the layout was the same.

        What other shards have left in the ledger is not evidence: they left it when the layout was yet another one.
        Raises LedgerError: what was stored before is no layout.
        """
        is_shared = self.is_new(before) and not self._has_own_ledger
        return range(decode(before).shards) if is_shared else [self.shard]

    def lanes_before(self, before: bytes) -> Sequence[LaneId]:
        """Return the lanes that the shards had which `shards_before` returns. Raises LedgerError, as that does."""
        if not self.is_new(before):
            return self.lanes
        partitions = decode(before).partitions.items()
        return [LaneId(pool, partition) for pool, count in partitions for partition in range(count)]

    def counting_before(self, before: bytes) -> Sequence[int]:
        """Return the shards that counted frames under the layout before: partition `q` was that of number `q` among them.

        Raises LedgerError: what was stored before is no layout.
        """
        stored = decode(before)
        return range(stored.shards) if stored.frames else range(min(stored.shards, 1))

    def is_new(self, before: bytes) -> bool:
        """Whether another layout was stored before."""
        return before not in {b"", self.encode()}


def refuse_moving(stored: bytes) -> None:
    """Raise SettingsError where a ledger is being moved, or has been moved away; `stored` is its layout."""
    if stored == MOVING:
        raise SettingsError(
            "the ledger is being moved to other servers, or was: finish that with the same command "
            "(`./run ingest move-ledger --help`), or give their settings"
        )


def check_place(before: bytes, wanted: StoredLayout, key: str = "layout") -> StoredLayout:
    """Return what is stored under `key` once it is that of the ledger which the layout `wanted` names, or nothing yet.

    Raises SettingsError: it is another one's, or moves; LedgerError: `before` is no layout.
    """
    refuse_moving(before)
    stored = decode(before, key)
    if stored.shards and (stored.ledgers, stored.ledger) != (wanted.ledgers, wanted.ledger):
        raise SettingsError(
            f"LEDGER_URLS: it holds {place(stored)} where {place(wanted)} should be: "
            "put that right, or stop all shards and move it (`./run ingest move-ledger --help`)"
        )
    return stored


def place(layout: StoredLayout) -> str:
    """Return for a person of which shards a ledger with this layout is."""
    return (
        f"the ledger of shard {layout.ledger} of {layout.ledgers}" if layout.ledgers else "the one ledger of all shards"
    )


def decode(stored: bytes, key: str = "layout") -> StoredLayout:
    """Return a layout as it was stored under `key`; one without shards, if none was. Raises LedgerError: it is none."""
    try:
        return msgspec.json.decode(stored, type=StoredLayout) if stored else StoredLayout(0, {})
    except UNREADABLE:
        raise LedgerError(f"the ledger holds {stored!r} where the layout belongs: DEL {key}") from None
