"""Protocol: the formats that processes exchange: lanes, batches, records, outcomes, dead letters, status.

Pure. Everything above may use it; it knows frames, events and errors. The modules that hold one thing are named in the
plural, so that a variable may be called `batch` or `record`.
"""

__all__ = [
    "batches",
    "celery_codec",
    "checksum",
    "counters",
    "dead_letters",
    "digest",
    "feed_report",
    "findings",
    "ingest_status",
    "notice",
    "outcome",
    "petrosa",
    "queue_entry",
    "records",
    "redis_storage",
    "routing",
    "shadowed",
    "signal_subject",
    "signed_number",
    "strategy_counts",
    "strikes",
    "task_name",
    "utc_time",
    "worker_kinds",
]
