"""The split of the lanes: how many ingest processes, and how many partitions each pool has. Pure."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from tasks.errors import UNREADABLE, LedgerError
from tasks.protocol.routing import LaneId, Router
from tasks.settings.values import MAX_SHARDS


class _StoredLayout(msgspec.Struct):
    shards: Annotated[int, msgspec.Meta(ge=0, le=MAX_SHARDS)]
    partitions: dict[str, int]


class Layout:
    """The layout that the ledger must hold, and the lanes of it that this shard owns."""

    def __init__(self, router: Router) -> None:
        self._stored = _StoredLayout(router.shard.total, {pool.name: len(pool.lanes) for pool in router.pools})
        self.shard = router.shard.number
        self.lanes: tuple[LaneId, ...] = router.lanes

    def encode(self) -> bytes:
        """Return the form in which the ledger stores it."""
        return msgspec.json.encode(self._stored, order="sorted")

    def other_shards(self, before: bytes) -> list[int]:
        """Return the numbers of the other shards, of this layout and of the one stored before (empty: none).

        Raises LedgerError: what was stored before is no layout.
        """
        count = max(self._stored.shards, _shards(before))
        return [number for number in range(count) if number != self.shard]

    def shards_before(self, before: bytes) -> Sequence[int]:
        """Return the numbers of the shards that worked on this one's lanes before: itself, if the layout was the same.

        What other shards have left in the ledger is not evidence: they left it when the layout was yet another one.
        Raises LedgerError: what was stored before is no layout.
        """
        return [self.shard] if before in {b"", self.encode()} else range(_shards(before))


def _shards(stored: bytes) -> int:
    try:
        return msgspec.json.decode(stored, type=_StoredLayout).shards if stored else 0
    except UNREADABLE:
        raise LedgerError(
            f"the ledger holds {stored!r} where the layout belongs: DEL the key layout, behind the namespace"
        ) from None
