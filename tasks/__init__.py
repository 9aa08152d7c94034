"""The code of workers and commands; ingest uses it too.

Strategies import `strategy`, `events`, `bars` and `once_per_event`, and nothing else.

`celery -A tasks` finds the application in `tasks.celery`. docs/architecture.md draws the packages.
"""

__all__ = [
    "backtest",
    "bars",
    "books",
    "celery",
    "cli",
    "clients",
    "configuration",
    "conformance",
    "deliver",
    "engine",
    "errors",
    "event_loop",
    "events",
    "export",
    "fatal_errors",
    "frames",
    "history",
    "invocation",
    "ledger",
    "once_per_event",
    "ops",
    "optional",
    "paper",
    "protocol",
    "research",
    "scoring",
    "settings",
    "strategies",
    "strategy",
    "sweep",
    "telemetry",
    "version",
    "why",
    "worker",
]
