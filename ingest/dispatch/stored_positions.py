"""Positions that the ledger holds, against what this process knows. No I/O but a line of the log.

A position tells which events are committed: one that is too high would have them skipped. So none is believed to which
this process sent nothing, as where a byte of it has changed in memory or on a disk.
"""

from collections.abc import Sequence

import structlog

from ingest.lanes.lane import Lane
from ingest.ledger import LanePositions
from tasks.events import Position
from tasks.ledger import LedgerKeys, lane_field

log = structlog.get_logger()


def report_damaged(lanes: Sequence[Lane], stored: LanePositions, keys: LedgerKeys) -> bool:
    """Return whether any of these lanes can't stand where the ledger says, with a line of the log for each of them."""
    damaged = {lane: at for lane in lanes if (at := stored.lanes[lane.id][0]) and not lane.can_stand_at(at)}
    for lane, position in damaged.items():
        log.error(
            "the ledger holds a position to which nothing was sent: it is not believed, a new epoch replaces it; "
            "check Redis's memory and disk, and who writes there",
            key=f"{keys.pool(lane.id.pool)} {lane_field(lane.id)}",
            stored=str(position),
            known=str(lane.prev),
        )
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
