"""Sources: where frames are read from: NATS as it comes, or a JetStream stream, from a position in it.

The service and `record` read from them. It knows transport and connectivity; where a source is resumed, the ledger
says.
"""

__all__ = ["base", "consumer", "core", "cursor", "jetstream", "pull", "resume", "stream_setup"]
