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
from tasks.ops.ledger_parts import change_each
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
        # They never send twice: a second time they would find their own records in the way.
        clients = [connect(settings, url, **connection_options()) for url in settings.ledgers]
        self._first: Any = clients[0]
        self._write = [client.register_script(script("seed")) for client in clients]

    def find(self, chosen: StateFilter, ledger: int | None = None) -> list[StoredField]:
        """Return the records that can be reset, sorted by pool and name; of one ledger alone, if given."""
        return sorted(self._found(chosen, ledger), key=lambda each: each.name)

    def _found(self, chosen: StateFilter, ledger: int | None) -> Iterator[StoredField]:
        for each in self._states.find(chosen, ledger):
            if not each.name.is_state:
                # A worker replaces what can't be read, and says so.
                with suppress(*UNREADABLE):
                    if each.record().id != records.NO_LAST_ID:
                        yield each

    def reset(self, chosen: StateFilter, author: str, reason: str) -> int:
        """Reset the records that `chosen` takes, those of a ledger all at once; return how many.

        Nothing of a batch in flight is lost. Raises LedgerError when the pipeline is always faster, or where some ledgers
        are changed and another one refused.
        """
        ledgers = dict.fromkeys(range(len(self._write)), chosen)
        return sum(change_each(ledgers, lambda ledger, of: self._reset_in(ledger, of, author, reason)))

    def _reset_in(self, ledger: int, chosen: StateFilter, author: str, reason: str) -> int:
        for _ in range(TRIES):
            found = self.find(chosen, ledger)
            if not found or self._is_written(ledger, found, chosen, author, reason):
                return len(found)
        raise LedgerError("the pipeline changes these records all the time; nothing was reset: try again")

    def _is_written(
        self, ledger: int, found: Sequence[StoredField], chosen: StateFilter, author: str, reason: str
    ) -> bool:
        by_pool: dict[str, list[StoredField]] = defaultdict(list)
        for each in found:
            by_pool[each.name.pool].append(each)
        version = self._first.hget(self._keys.configuration, "version") or b""
        keys = [self._keys.resets, self._keys.configuration, *map(self._keys.pool, by_pool)]
        pools = [_write_of(pool, its, chosen, author, reason) for pool, its in by_pool.items()]
        answer: bytes = self._write[ledger](keys=keys, args=[KEEP, version, pack(pools)])
        return answer == b"seeded"


def _write_of(pool: str, found: Sequence[StoredField], chosen: StateFilter, author: str, reason: str) -> list[Any]:
    about = StateReset(pool, "", chosen.venue, found[0].name.symbol, author, reason, records=len(found))
    expected = ((each.name.field, string(each.packed)) for each in found)
    values = ((each.name.field, string(records.pack(each.record().without_last_event()))) for each in found)
    packed = string(msgspec.json.encode(about))
    return [packed, 0, [*chain.from_iterable(expected)], [*chain.from_iterable(values)]]
