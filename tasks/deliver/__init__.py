"""Deliveries: each takes the signal stream to a receiver of its own, from a durable position, in a process of its own.

Only the command line uses it. It reads the ledger; whether a receiver answers changes nothing for the pipeline.
"""

from tasks.deliver.process import DeliveryOptions, run

__all__ = [
    "DeliveryOptions",
    "answers",
    "delivery",
    "petrosa_dialect",
    "process",
    "run",
    "selection",
    "send_rate",
    "signal_fields",
    "signature",
    "sinks",
    "status",
    "template",
]
