"""A stream of the ledger for somebody who watches it: the end of it, and on from there, whatever happens to Redis."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import redis

from tasks.clients.redis_client import UNAVAILABLE
from tasks.errors import UnreadableEntryError
from tasks.ledger import pager
from tasks.ledger.entry_id import NONE, EntryId
from tasks.ledger.reader import CHUNK, LedgerReader

BLOCK_MS = 1_000
#: The same where several ledgers are waited for in turn.
TURN_MS = 50
RETRY_S = 0.5
#: How long one of several is left out after it failed: one that hangs costs seconds each time.
REST_S = 5.0
_LAST_SEQ = 2**64 - 1

#: Whether to show what an entry holds: JSON.
Takes = Callable[[bytes], bool]


class EntryStream:
    """Reads selected entries of a stream, of which each holds JSON in one field, and remembers the last one read."""

    def __init__(self, reader: LedgerReader, stream: str, field: bytes, takes: Takes) -> None:
        self._clients, self._stream, self._field, self._takes = reader.clients, stream, field, takes
        self._reader = reader
        #: Of each ledger, whose clocks differ: up to which entry it was read, and whether it answers.
        self._after = [NONE] * len(self._clients)
        self._unavailable = [False] * len(self._clients)
        #: Until when it is left out, monotonic seconds.
        self._rests_until_s = [0.0] * len(self._clients)

    def stored(self, since_ms: int = 0) -> Iterator[bytes]:
        """Yield the selected entries, oldest first; with `since_ms`, those committed then (Redis's clock) or later.

        Raises UnreadableEntryError: an entry has no such field.
        """
        self._begin(since_ms)
        for name, fields in pager.entries(self._clients, self._stream, f"{since_ms}-0"):
            self._read_up_to(name)
            if self._field not in fields:
                raise UnreadableEntryError.of(self._stream, name, KeyError(self._field.decode()))
            if self._takes(packed := fields[self._field]):
                yield packed

    def newest(self, count: int, since_ms: int = 0) -> list[bytes]:
        """Return the last `count` of what `stored` would yield."""
        self._begin(since_ms)
        parts = pager.parts(self._clients, self._stream, f"{since_ms}-0", backwards=True)
        found: list[bytes] = []
        for _, fields in pager.merged(map(self._noting_the_newest, parts), backwards=True):
            if len(found) == count:
                break
            if self._takes(packed := fields.get(self._field, b"")):
                found.append(packed)
        return found[::-1]

    def _begin(self, since_ms: int) -> None:
        """Take note that nothing was read, so that what follows begins there too."""
        self._after = [f"{since_ms - 1}-{_LAST_SEQ}" if since_ms else NONE] * len(self._clients)

    def _noting_the_newest(self, part: Iterator[pager.Entry]) -> Iterator[pager.Entry]:
        for at, entry in enumerate(part):
            if at == 0:
                self._read_up_to(entry[0])
            yield entry

    def _read_up_to(self, name: str) -> None:
        entry = EntryId.parse(name)
        self._after[entry.ledger] = entry.stored

    def follow(self, say: Callable[[str], None]) -> Iterator[bytes]:
        """Yield each entry as it is committed, endlessly, from where the last call left off.

        While Redis is unavailable it waits; `say` is called once when it goes and once when it is back. Of several
        ledgers each is waited for by itself, and one that hangs holds the others up for some seconds at most.
        """
        clients = self._reader.impatient_clients()
        while True:
            ready = [at for at, until_s in enumerate(self._rests_until_s) if time.monotonic() >= until_s]
            for ledger in ready:
                for fields in self._new(clients[ledger], ledger, say):
                    if self._takes(packed := fields.get(self._field, b"")):
                        yield packed
            if not ready:
                time.sleep(RETRY_S)

    def _new(self, client: redis.Redis, ledger: int, say: Callable[[str], None]) -> Iterator[Mapping[bytes, bytes]]:
        """Yield the new entries of a ledger, for which it waits a moment."""
        several = len(self._clients) > 1
        what = f"the ledger of shard {ledger}" if several else "Redis"
        try:
            block_ms = TURN_MS if several else BLOCK_MS
            found: Any = client.xread({self._stream: self._after[ledger]}, count=CHUNK, block=block_ms)
        except UNAVAILABLE as error:
            if not self._unavailable[ledger]:
                say(f"{what} is unavailable: waiting for it ({error})")
            self._unavailable[ledger] = True
            self._rests_until_s[ledger] = time.monotonic() + (REST_S if several else RETRY_S)
            return
        if self._unavailable[ledger]:
            say(f"{what} is back")
            self._unavailable[ledger] = False
        for name, fields in (entry for _, entries in found for entry in entries):
            self._after[ledger] = name.decode()
            yield fields
