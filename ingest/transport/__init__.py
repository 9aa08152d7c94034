"""Transport: what sources, the relay and feeds share of NATS: the connection, confirming a flush, and subscribing.

Those three use it, and `components`, which makes the connection. It knows the NATS client of `tasks`, and of ingest
only `connectivity`.
"""

__all__ = ["connection", "flush", "subscribe"]
