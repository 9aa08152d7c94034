"""Sources: where frames are read from: NATS as it comes, or a JetStream stream, from a position in it.

Ingest and the feed `record` use them. They know transport and connectivity; where a source is resumed, the ledger
says.
"""

__all__ = [
    "base",
    "consumer",
    "core",
    "cursor",
    "jetstream",
    "passing",
    "pull",
    "resume",
    "strays",
    "stream_end",
    "stream_setup",
]
