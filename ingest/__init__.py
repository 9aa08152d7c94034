"""Ingest: frames in over NATS, batches out as Celery tasks, signals back; and the feeds that publish frames.

`./run ingest` runs it, and `compose` may use it; `tasks` may not. docs/architecture.md draws the packages.
"""

__all__ = [
    "api",
    "components",
    "connectivity",
    "counters",
    "dispatch",
    "feeds",
    "frame_handler",
    "implausible",
    "lanes",
    "ledger",
    "ledger_move",
    "monitoring",
    "page",
    "refused_frames",
    "relay",
    "service",
    "sources",
    "steps",
    "transport",
]
