"""A worker: what Celery's processes do with tasks, how they are watched, and what they tell of themselves.

Nothing is imported here, because Celery loads its parts late and by name; nothing but `tasks.celery` and
celeryconfig.py uses them. It knows the engine, the ledger and telemetry.
"""

__all__ = [
    "batch_timing",
    "consumer",
    "control_commands",
    "entries",
    "fork_safe_loop",
    "health",
    "refused_by_redis",
    "research",
    "result_backend",
    "run_guard",
    "run_note",
    "run_observer",
    "run_reporter",
    "run_watch",
    "runner",
    "slice_lease",
    "status_server",
    "store_breaker",
    "strategy_cache",
    "strategy_errors",
    "strategy_times",
    "task",
    "time_limit",
    "without_result",
    "worker_metrics",
]
