"""A client of Redis whose process is killed before one of its writes: this one and all after it fail."""

import re
from typing import Any

import redis
from redis.asyncio import Redis

from tasks.clients.redis_client import connect_async
from tasks.settings import Settings

_READS = {
    "INFO",
    "EXISTS",
    "HGET",
    "HMGET",
    "GET",
    "HSCAN",
    "SCAN",
    "XINFO",
    "XRANGE",
    "LRANGE",
    "PTTL",
    "CLIENT",
    "SELECT",
}
_READS |= {"PING", "HELLO"}
_NAME = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)")


class Killer:
    """Makes clients, which together make so many writes; a transaction and a page of writes are one."""

    def __init__(self, writes: int | None = None) -> None:
        self.left, self.made = writes, 0

    def connect(self, settings: Settings, url: str, **options: Any) -> Redis:
        client = connect_async(settings, url, **options)
        pool: Any = client.connection_pool
        usual, killer = pool.connection_class, self

        class CountedConnection(usual):  # type: ignore[misc,valid-type]  # known at run time only
            async def send_packed_command(self, command: Any, *how: Any, **options: Any) -> None:
                killer.send(command)
                await super().send_packed_command(command, *how, **options)

        pool.connection_class = CountedConnection
        return client

    def send(self, command: Any) -> None:
        """Count a write. Raises redis.ConnectionError once there have been enough."""
        packed = command if isinstance(command, bytes) else b"".join(command)
        found = _NAME.match(packed)
        if found is None or found[1].decode().upper() in _READS:
            return
        if self.left is not None and self.made >= self.left:
            raise redis.ConnectionError("killed")
        self.made += 1
