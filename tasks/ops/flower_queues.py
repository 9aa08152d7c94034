"""Flower's queue lengths, read with our own Redis client; `flowerconfig` calls `install`.

Flower's own client parses the broker's URL by itself: it ignores the database and the user of a socket, and all
Sentinels but the first.
"""

from typing import Any

import flower.views
from flower.utils.broker import RedisBase

from tasks.clients.redis_client import async_connection_options, connect_async
from tasks.settings import load


class QueueLengths(RedisBase):  # type: ignore[misc]  # Flower has no types
    """Queue lengths for Flower, which makes one of these for each request."""

    def __init__(self, broker_url: str, *arguments: Any, **options: Any) -> None:
        super().__init__(broker_url, *arguments, **options)
        settings = load()
        self.redis = connect_async(settings, settings.broker, **async_connection_options())


def install() -> None:
    """Have Flower use `QueueLengths`."""
    flower.views.Broker = QueueLengths
