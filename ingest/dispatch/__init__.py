"""Dispatch: batches go out as Celery tasks, under the configuration in force, until the ledger has them.

`components` puts it together for the service, and `steps` uses its refusals. It knows lanes, the ledger and Celery's
messages.
"""

__all__ = [
    "active_configuration",
    "breaker",
    "celery_publisher",
    "checkpoints",
    "conditions",
    "known_symbols",
    "notice_listener",
    "noticed_lanes",
    "redis_refusals",
    "sender",
    "stored_positions",
]
