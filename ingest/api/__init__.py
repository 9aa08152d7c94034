"""The operators' API over HTTP: what the command line does to a running pipeline, as JSON, for programs; off without a token.

Only `components` uses it. It knows the ledger and the operations in `tasks.ops`,
shares nothing with the path of events, and its calls run in threads of their own.
"""

__all__ = [
    "call",
    "callers",
    "changes",
    "configuration",
    "dead_letters",
    "execute",
    "handler",
    "idempotency",
    "in_force",
    "ledger",
    "models",
    "openapi",
    "paging",
    "problem",
    "route",
    "routes",
    "signals",
    "states",
    "strategies",
    "strategy_changes",
    "why_process",
]
