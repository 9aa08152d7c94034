"""The ledger in Redis: where lanes stand, records, states, signals, dead letters, counters, configurations, heartbeats.

Workers, commands and ingest use it. Other modules use its scripts, keys and formats directly: `ingest.ledger`, the
relay, the server probe, the page, the doctor, the guard of runs, a retry and the reset of states. It never imports the
engine.
"""

from tasks.ledger.keys import MOVING, RESETS, LedgerKeys, damaged, frame_field, lane_field, read_position
from tasks.ledger.ledger import STARTS_EXPIRE_S, BatchStart, Committed, Ledger, commit_arguments
from tasks.ledger.lua import script

__all__ = [
    "MOVING",
    "RESETS",
    "STARTS_EXPIRE_S",
    "BatchStart",
    "Committed",
    "Ledger",
    "LedgerKeys",
    "aliases",
    "change_log",
    "commit_arguments",
    "configurations",
    "confirmation",
    "damaged",
    "dead_letters",
    "deliveries",
    "delivery_position",
    "delivery_states",
    "entry_id",
    "entry_stream",
    "frame_field",
    "heartbeats",
    "key_types",
    "keys",
    "known_configurations",
    "lane_field",
    "lease",
    "ledger",
    "lua",
    "number_fields",
    "pager",
    "past_events",
    "read_position",
    "reader",
    "script",
    "summary",
]
