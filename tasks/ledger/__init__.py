"""The ledger in Redis: where lanes stand, records, states, signals, dead letters, counters, configurations, heartbeats.

Workers, ingest and commands reach it only from here. It knows the clients, the configuration and the protocol, and never
the engine.
"""

from tasks.ledger.ledger import (
    CONFIGURATION_NOTICE,
    RESETS,
    STARTS_EXPIRE_S,
    BatchStart,
    Committed,
    Keys,
    Ledger,
    Notice,
    Refusal,
    commit_arguments,
    connection_options,
    lane_field,
    read_position,
    reason,
    script,
)

__all__ = [
    "CONFIGURATION_NOTICE",
    "RESETS",
    "STARTS_EXPIRE_S",
    "BatchStart",
    "Committed",
    "Keys",
    "Ledger",
    "Notice",
    "Refusal",
    "commit_arguments",
    "configurations",
    "connection_options",
    "dead_letters",
    "heartbeats",
    "lane_field",
    "ledger",
    "past_events",
    "read_position",
    "reader",
    "reason",
    "script",
    "signal_stream",
    "summary",
]
