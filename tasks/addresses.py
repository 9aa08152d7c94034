"""Addresses of servers, looked at before anybody uses them. Pure; no error tells a login."""

from tasks.nats_address import NatsAddress
from tasks.redis_address import RedisAddress


def nats(urls: str) -> str:
    """Return `urls`. Raises ValueError: they can't be used."""
    NatsAddress.parse(urls)
    return urls


def redis(url: str) -> str:
    """Return `url`. Raises ValueError: it can't be used."""
    RedisAddress.parse(url)
    return url
