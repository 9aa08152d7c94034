"""A stream of the ledger for somebody who watches it: the end of it, and on from there, whatever happens to Redis."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from tasks.clients.redis_client import UNAVAILABLE
from tasks.ledger import pager
from tasks.ledger.reader import CHUNK, LedgerReader

BLOCK_MS = 1_000
RETRY_S = 0.5

#: Whether to show what an entry holds: JSON.
Takes = Callable[[bytes], bool]


class EntryStream:
    """Reads selected entries of a stream, of which each holds JSON in one field, and remembers the last one read."""

    def __init__(self, reader: LedgerReader, stream: str, field: bytes, takes: Takes) -> None:
        self._client, self._stream, self._field = reader.client, stream, field
        self._reader, self._takes = reader, takes
        self._after = "0-0"

    def stored(self, since_ms: int = 0) -> Iterator[bytes]:
        """Yield the selected entries, oldest first; with `since_ms`, those committed then (Redis's clock) or later."""
        for name, packed in self._reader.entries(self._stream, self._field, f"{since_ms}-0"):
            self._after = name
            if self._takes(packed):
                yield packed

    def newest(self, count: int, since_ms: int = 0) -> list[bytes]:
        """Return the last `count` of what `stored` would yield."""
        found: list[bytes] = []
        for at, (name, fields) in enumerate(pager.entries(self._client, self._stream, f"{since_ms}-0", backwards=True)):
            if at == 0:
                self._after = name
            if len(found) == count:
                break
            if self._takes(packed := fields.get(self._field, b"")):
                found.append(packed)
        return found[::-1]

    def follow(self, say: Callable[[str], None]) -> Iterator[bytes]:
        """Yield each entry as it is committed, endlessly, from where the last call left off.

        While Redis is unavailable it waits; `say` is called once when it goes and once when it is back.
        """
        unavailable = False
        while True:
            try:
                found: Any = self._client.xread({self._stream: self._after}, count=CHUNK, block=BLOCK_MS)
            except UNAVAILABLE as error:
                if not unavailable:
                    say(f"Redis is unavailable: waiting for it ({error})")
                unavailable = True
                time.sleep(RETRY_S)
                continue
            if unavailable:
                say("Redis is back")
                unavailable = False
            for name, fields in (entry for _, entries in found for entry in entries):
                self._after = name.decode()
                if self._takes(packed := fields.get(self._field, b"")):
                    yield packed
