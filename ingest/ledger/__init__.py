"""The ledger as ingest sees it: epochs, where lanes stand, checkpoints, notices of commits.

Everything above may use it. It knows `tasks.ledger`, whose keys and scripts it uses, and the lanes.
"""

from ingest.ledger.ledger import Checkpoint, IngestLedger, LanePositions

__all__ = [
    "Checkpoint",
    "IngestLedger",
    "LanePositions",
    "commit_notices",
    "counted",
    "damage",
    "ledger",
    "relayed_ledger",
    "servers",
    "stored_layout",
    "stored_shard",
]
