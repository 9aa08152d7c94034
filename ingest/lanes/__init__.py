"""Lanes: where events wait in order, which of them are a batch, when it is sent, sent again, and known to be committed.

Pure: no I/O, and time is an argument. Everything above may use it. It knows the protocol of `tasks` and nothing else
of ingest.
"""

from ingest.lanes.lanes import LaneLimits, Lanes

__all__ = [
    "LaneLimits",
    "Lanes",
    "contention",
    "frame_partitions",
    "lane",
    "lanes",
    "layout",
    "rtt_estimator",
    "symbol_cap",
    "task_packing",
    "task_routing",
]
