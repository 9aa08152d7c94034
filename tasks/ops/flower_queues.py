"""Flower's queue lengths, asked of the broker as everybody here asks it; `flowerconfig` sees to that.

Flower's own client takes the broker's URL apart by itself: of a socket it knows no database and no user, of several
Sentinels only the first.
"""

from typing import Any

import flower.views
from flower.utils.broker import RedisBase

from tasks.clients.redis_client import connect_async, connection_options
from tasks.settings import load


class QueueLengths(RedisBase):  # type: ignore[misc]  # Flower has no types
    """Queue lengths for Flower, which makes one of these for each request."""

    def __init__(self, broker_url: str, *arguments: Any, **options: Any) -> None:
        super().__init__(broker_url, *arguments, **options)
        settings = load()
        self.redis = connect_async(settings, settings.broker, **connection_options())


def install() -> None:
    """Have Flower ask it."""
    flower.views.Broker = QueueLengths
