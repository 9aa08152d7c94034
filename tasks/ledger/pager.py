"""A stream of Redis, read page by page, so that its length does not matter."""

from collections.abc import Iterator, Mapping
from typing import Any

import redis

Entry = tuple[str, Mapping[bytes, bytes]]
#: Entries read at a time.
PAGE = 1_000


def entries(
    client: redis.Redis, stream: str, start: str = "-", end: str = "+", *, page: int = PAGE, backwards: bool = False
) -> Iterator[Entry]:
    """Yield (id, fields) of each entry from the id `start` to `end`, both included; oldest first, or newest first."""
    while True:
        found: Any = (
            client.xrevrange(stream, max=end, min=start, count=page)
            if backwards
            else client.xrange(stream, min=start, max=end, count=page)
        )
        for name, fields in found:
            yield name.decode(), fields
        if len(found) < page:
            return
        beyond = f"({found[-1][0].decode()}"
        start, end = (start, beyond) if backwards else (beyond, end)
