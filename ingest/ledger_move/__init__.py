"""Moves the ledger to other Redis servers: from one to one for each shard, back, or from some to others.

The command `./run ingest move-ledger` uses it. `plan` says what goes where, and is pure; each of the other modules is a
part of the work, which may be repeated at any time: `mover` has their order, and `mark` what keeps ingest away meanwhile.
"""

from ingest.ledger_move.mover import LedgerMover, Moved

__all__ = [
    "LedgerMover",
    "Moved",
    "checks",
    "cleaning",
    "command",
    "fields",
    "mark",
    "mover",
    "old_shards",
    "parties",
    "plan",
    "streams",
    "unsharded",
]
