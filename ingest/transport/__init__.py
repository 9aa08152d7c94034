"""Transport: what sources, the relay and feeds share of NATS: knowing that it has what was sent, and subscribing.

It knows the NATS client of `tasks`, and nothing else of ingest.
"""

__all__ = ["flush", "subscribe"]
