"""The ledger in Redis: where lanes stand, records, states, signals, dead letters, counters, configurations, heartbeats.

Workers, ingest and commands reach it only from here. It knows the clients, the configuration and the protocol, and never
the engine.
"""

from tasks.ledger.keys import RESETS, Keys, lane_field, read_position
from tasks.ledger.ledger import STARTS_EXPIRE_S, BatchStart, Committed, Ledger, commit_arguments
from tasks.ledger.lua import script

__all__ = [
    "RESETS",
    "STARTS_EXPIRE_S",
    "BatchStart",
    "Committed",
    "Keys",
    "Ledger",
    "commit_arguments",
    "configurations",
    "dead_letters",
    "heartbeats",
    "keys",
    "lane_field",
    "ledger",
    "lua",
    "pager",
    "past_events",
    "read_position",
    "reader",
    "script",
    "signal_stream",
    "summary",
]
