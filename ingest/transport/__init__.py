"""Transport: what sources, the relay and feeds share of NATS: the connection, subscribing, and knowing what arrived.

Those three use it, and `components`, which makes the connection. It knows the NATS client of `tasks`, and of ingest
only `connectivity`.
"""

__all__ = ["connection", "flush", "send_window", "stream_answers", "stream_state", "subscribe"]
