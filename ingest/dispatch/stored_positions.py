"""Positions that the ledger holds, against what this process knows. No I/O.

A position tells which events are committed: one that is too high would have them skipped. So none is believed to which
this process sent nothing, as where a byte of it has changed in memory or on a disk.
"""

from collections.abc import Sequence

from ingest.lanes.lane import Lane
from ingest.ledger import LanePositions
from ingest.ledger.damage import LedgerDamage
from tasks.events import Position
from tasks.ledger import LedgerKeys, lane_field


def report_damaged(lanes: Sequence[Lane], stored: LanePositions, keys: LedgerKeys, damage: LedgerDamage) -> bool:
    """Return whether any of these lanes can't stand where the ledger says; tell of each of them."""
    damaged = {lane: at for lane in lanes if (at := stored.lanes[lane.id][0]) and not lane.can_stand_at(at)}
    for lane, position in damaged.items():
        where = f"{keys.pool(lane.id.pool)} {lane_field(lane.id)}"
        says = f"held {str(position)!r}, to which nothing was sent: it is not believed, and a new epoch replaces it"
        damage.record(where, says)
    return bool(damaged)


def is_behind(known: Position | None, stored: Position | None, current: str) -> bool:
    """Return whether a lane stands below where it was seen to stand; `current` is the source of this epoch's positions."""
    if known is None or stored == known:
        return False
    if stored is None:
        return True
    if stored.source == known.source:
        return stored.seq < known.seq
    return stored.source != current
