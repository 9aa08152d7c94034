"""Entries of the queues: what is no task of this project is refused before Celery sees it, told, and kept.

Only the worker around it uses it. It knows the broker, the ledger, the protocol and telemetry.
"""

__all__ = ["control_answers", "letter_writer", "refused_entries", "transport"]
