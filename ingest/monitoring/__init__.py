"""Monitoring: what ingest measures of itself and of the servers, what is wrong, and how probes and Prometheus get it.

The page uses it, and `components`, which puts it together. It knows the relay and everything below, and changes
nothing but for the memory guard, which holds batches back.
"""

__all__ = [
    "entry_refusals",
    "error_counts",
    "exporter",
    "feed_reports",
    "feed_stream",
    "feed_watch",
    "findings",
    "foreign_keys",
    "frame_stream",
    "health",
    "hysteresis",
    "ledger_totals",
    "lifecycle",
    "memory_guard",
    "other_ledgers",
    "paper_figures",
    "paper_probe",
    "recent_counts",
    "record_probe",
    "server_stats",
    "status_responder",
    "unused_frames",
    "verdict_publisher",
    "verdicts",
]
