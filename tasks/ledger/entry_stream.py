"""A stream of the ledger for somebody who watches it: the end of it, and on from there, whatever happens to Redis."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tasks.clients.redis_client import UNAVAILABLE
from tasks.errors import UnreadableEntryError
from tasks.ledger import pager
from tasks.ledger.entry_id import NONE, EntryId
from tasks.ledger.reader import CHUNK, LedgerReader

BLOCK_MS = 1_000
#: The same where several ledgers are waited for in turn.
TURN_MS = 50
RETRY_S = 0.5
_LAST_SEQ = 2**64 - 1

#: Whether to show what an entry holds: JSON.
Takes = Callable[[bytes], bool]


class EntryStream:
    """Reads selected entries of a stream, of which each holds JSON in one field, and remembers the last one read."""

    def __init__(self, reader: LedgerReader, stream: str, field: bytes, takes: Takes) -> None:
        self._clients, self._stream, self._field, self._takes = reader.clients, stream, field, takes
        #: Of each ledger, whose clocks differ: up to which entry it was read, and whether it answers.
        self._after = [NONE] * len(self._clients)
        self._unavailable = [False] * len(self._clients)

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
        ledgers each is waited for by itself.
        """
        while True:
            for ledger in range(len(self._clients)):
                for fields in self._new(ledger, say):
                    if self._takes(packed := fields.get(self._field, b"")):
                        yield packed

    def _new(self, ledger: int, say: Callable[[str], None]) -> Iterator[Mapping[bytes, bytes]]:
        """Yield the new entries of a ledger, for which it waits a moment."""
        several = len(self._clients) > 1
        what = f"the ledger of shard {ledger}" if several else "Redis"
        try:
            found: Any = self._clients[ledger].xread(
                {self._stream: self._after[ledger]}, count=CHUNK, block=TURN_MS if several else BLOCK_MS
            )
        except UNAVAILABLE as error:
            if not self._unavailable[ledger]:
                say(f"{what} is unavailable: waiting for it ({error})")
            self._unavailable[ledger] = True
            time.sleep(RETRY_S)
            return
        if self._unavailable[ledger]:
            say(f"{what} is back")
            self._unavailable[ledger] = False
        for name, fields in (entry for _, entries in found for entry in entries):
            self._after[ledger] = name.decode()
            yield fields
