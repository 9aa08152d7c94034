"""What of a symbol's records is reset where a wrong event muted it: the id and the time that later ones are compared with.

Count, hash and position stay, so what was applied once is never applied again. An unconfirmed event stays until the next
one refuses it, and the lines of the audit stay: they name the configurations of what the record counts, and go with the
record alone, where a symbol is pruned.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import msgspec

from tasks.clients.redis_client import connect, connection_options
from tasks.errors import UNREADABLE, LedgerError
from tasks.ledger import script
from tasks.ledger.keys import LedgerKeys
from tasks.ledger.lua import pack, string
from tasks.ops.states import KEEP, StateFilter, StateReset, StateStore, StoredField
from tasks.protocol import records
from tasks.settings import Settings

#: A muted record changes with each repeat: so often is it read and written before the pipeline is too fast.
TRIES = 100


class RecordReset:
    """Resets records in the ledger."""

    def __init__(self, settings: Settings) -> None:
        """Connect. Raises ServerUnavailableError."""
        self._states, self._keys = StateStore(settings), LedgerKeys(settings.namespace)
        self._client: Any = connect(settings, settings.ledger, **connection_options())
        # One that never sends twice: a second time it would find its own records in the way.
        self._write = self._client.register_script(script("seed"))

    def find(self, chosen: StateFilter) -> list[StoredField]:
        """Return the records that can be reset, sorted by pool and name."""
        return sorted(self._found(chosen), key=lambda each: each.name)

    def _found(self, chosen: StateFilter) -> Iterator[StoredField]:
        for each in self._states.find(chosen):
            if not each.name.is_state:
                # A worker replaces what can't be read, and says so.
                with suppress(*UNREADABLE):
                    if each.record().id != records.NO_LAST_ID:
                        yield each

    def reset(self, chosen: StateFilter, author: str, reason: str) -> int:
        """Reset the records that `chosen` takes, all at once; return how many. Nothing of a batch in flight is lost.

        Raises LedgerError when the pipeline is always faster.
        """
        for _ in range(TRIES):
            found = self.find(chosen)
            if not found or self._is_written(found, chosen, author, reason):
                return len(found)
        raise LedgerError("the pipeline changes these records all the time; nothing was reset: try again")

    def _is_written(self, found: Sequence[StoredField], chosen: StateFilter, author: str, reason: str) -> bool:
        by_pool: dict[str, list[StoredField]] = defaultdict(list)
        for each in found:
            by_pool[each.name.pool].append(each)
        version = self._client.hget(self._keys.configuration, "version") or b""
        keys = [self._keys.resets, self._keys.configuration, *map(self._keys.pool, by_pool)]
        pools = [_write_of(pool, its, chosen, author, reason) for pool, its in by_pool.items()]
        answer: bytes = self._write(keys=keys, args=[KEEP, version, pack(pools)])
        return answer == b"seeded"


def _write_of(pool: str, found: Sequence[StoredField], chosen: StateFilter, author: str, reason: str) -> list[Any]:
    about = StateReset(pool, "", chosen.venue, found[0].name.symbol, author, reason, records=len(found))
    expected = ((each.name.field, string(each.packed)) for each in found)
    values = ((each.name.field, string(records.pack(each.record().without_last_event()))) for each in found)
    packed = string(msgspec.json.encode(about))
    return [packed, 0, [*chain.from_iterable(expected)], [*chain.from_iterable(values)]]
