"""Clients: how everything of ours connects to Redis, alone or behind Sentinels, and to NATS.

Everything that talks to a server uses it to make its client. It knows the settings and errors.
"""

__all__ = ["nats_client", "nats_message", "nats_options", "queue_order", "redis_client", "redis_tls"]
