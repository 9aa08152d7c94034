"""Records and states as they stand in the ledger, for who looks at them and for who resets one.

A reset and a commit are one script each, and a commit changes nothing when there was a reset since its run began. So a
reset comes between two batches: no event sees half of it, and no run that read the old state can bring it back.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from tasks.clients.redis_client import connect, connection_options
from tasks.engine import strategy_run
from tasks.engine.strategy_run import SavedState
from tasks.errors import UNREADABLE, UnreadableEntryError
from tasks.frames.symbols import spellings, symbol_of, token
from tasks.ledger import pager, script
from tasks.ledger.reader import CHUNK, LedgerReader
from tasks.ops.ledger_parts import change_each
from tasks.protocol.records import Record, unpack
from tasks.settings import Settings

#: Signs that mean something in a pattern of Redis.
_GLOB = re.compile(r"[\\*?\[\]]")
#: About how many resets are kept; the oldest go first.
KEEP = 1_000


class StateField(NamedTuple):
    """A parsed field name of a pool's hash: that of a record or of a state."""

    pool: str
    venue: str
    #: Or `all`, for a state that a venue's symbols share.
    symbol: str
    is_state: bool
    #: The strategy of a state, the kind of a record.
    what: str
    #: The number of the ledger that holds it.
    ledger: int = 0

    @property
    def field(self) -> str:
        """The field."""
        return ":".join(("state" if self.is_state else "record", self.venue, token(self.symbol), self.what))

    @classmethod
    def parse(cls, pool: str, field: bytes, ledger: int = 0) -> "StateField | None":
        """Read a field of a ledger; None: it is neither a record nor a state."""
        words = field.decode(errors="replace").split(":", 3)
        if len(words) < 4 or words[0] not in {"record", "state"}:
            return None
        kind, venue, symbol, what = words
        return cls(pool, venue, symbol_of(symbol), kind == "state", what, ledger)


class StateFilter(NamedTuple):
    """The records and states to select; an empty word stands for any."""

    pool: str = ""
    venue: str = ""
    #: As typed: upper case is meant too.
    symbol: str = ""
    #: Given, only states are meant.
    strategy: str = ""

    def takes(self, name: StateField) -> bool:
        """Return whether a field is selected."""
        pairs = ((self.pool, name.pool), (self.venue, name.venue), (self.strategy, name.what))
        if self.symbol and name.symbol not in spellings(self.symbol):
            return False
        return all(not wanted or wanted == value for wanted, value in pairs) and (name.is_state or not self.strategy)

    @property
    def pattern(self) -> str:
        """The pattern for HSCAN: it matches these fields, and possibly others."""
        symbol = "" if len(spellings(self.symbol)) > 1 else token(self.symbol)
        words = [_GLOB.sub(r"\\\g<0>", word) or "*" for word in (self.venue, symbol, self.strategy)]
        return ":".join(("state" if self.strategy else "*", *words))


class StoredField(NamedTuple):
    """A record or state as it is stored."""

    name: StateField
    packed: bytes

    def record(self) -> Record:
        """Read a record. Raises what is in UNREADABLE."""
        return unpack(self.packed)

    def saved(self) -> SavedState:
        """Read a state. Raises what is in UNREADABLE."""
        return strategy_run.unpack(self.packed)


class StateReset(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reset, a seeding or a pruning of states, or a reset of records: which ones, by whom, and why."""

    pool: str
    #: Empty for all; only of a seeding.
    strategy: str
    #: Which were chosen; empty for all.
    venue: str
    symbol: str
    author: str
    reason: str
    #: What the states were computed from; empty for a reset.
    files: tuple[str, ...] = ()
    #: Of a pruning: for how long the symbols had no event; else 0.
    idle_s: int = 0
    #: Of a reset of records: how many there were.
    records: int = 0


class ResetResult(NamedTuple):
    """A reset, how many states it removed or put in, and when: unix milliseconds, Redis's clock."""

    reset: StateReset
    states: int
    at_ms: int
    #: Of a pruning: how many symbols were removed from this pool.
    symbols: int = 0


_NO_RESET: tuple[type[Exception], ...] = (*UNREADABLE, ValueError)
_decode_reset = msgspec.json.Decoder(StateReset).decode


class StateStore:
    """Reads records and states, and removes states."""

    def __init__(self, settings: Settings) -> None:
        """Connect. Raises ServerUnavailableError."""
        self._reader = LedgerReader.reach(settings)
        self._keys = self._reader.keys
        # They never send twice: what came in between would be removed too.
        self._once = [connect(settings, url, **connection_options()) for url in settings.ledgers]
        self._reset = [client.register_script(script("reset")) for client in self._once]

    def close(self) -> None:
        """Close the connections."""
        for client in self._once:
            client.close()
        self._reader.close()

    def find(self, chosen: StateFilter, ledger: int | None = None) -> Iterator[StoredField]:
        """Yield the selected fields, each once, unordered; of one ledger alone, if given.

        They are read page by page while the pipeline runs.
        """
        for number in range(len(self._once)) if ledger is None else [ledger]:
            yield from self._find(chosen, number)

    def _find(self, chosen: StateFilter, ledger: int) -> Iterator[StoredField]:
        prefix, client = self._keys.pool(""), self._reader.clients[ledger]
        for key in client.scan_iter(match=f"{prefix}*", count=CHUNK):
            pool, seen = key.decode().removeprefix(prefix), set[bytes]()
            if chosen.pool not in {"", pool}:
                continue
            for field, packed in client.hscan_iter(key, match=chosen.pattern, count=CHUNK):
                name = StateField.parse(pool, field, ledger)
                if name and chosen.takes(name) and field not in seen:
                    seen.add(field)
                    yield StoredField(name, packed)

    def reset(self, reset: StateReset, names: Sequence[StateField]) -> int:
        """Remove states of one pool, those of a ledger all at once; return how many there were.

        Raises LedgerError: some ledgers are changed, and another one refused.
        """
        ordered = sorted(names, key=lambda name: name.ledger)
        fields = {ledger: [name.field for name in held] for ledger, held in groupby(ordered, lambda name: name.ledger)}
        return sum(change_each(fields, lambda ledger, held: self._reset_in(ledger, reset, held)))

    def _reset_in(self, ledger: int, reset: StateReset, fields: Sequence[str]) -> int:
        keys = [self._keys.pool(reset.pool), self._keys.resets]
        removed: int = self._reset[ledger](keys=keys, args=[msgspec.json.encode(reset), KEEP, *fields])
        return removed

    def history(self) -> Iterator[ResetResult]:
        """Yield the resets and seedings, oldest first, of each ledger by itself. Raises UnreadableEntryError."""
        for name, fields in pager.entries(self._reader.clients, self._keys.resets):
            try:
                reset, states = _decode_reset(fields.get(b"reset", b"")), int(fields.get(b"states", b""))
                symbols = int(fields.get(b"symbols", 0))
            except _NO_RESET as error:
                raise UnreadableEntryError.of(self._keys.resets, name, error) from None
            yield ResetResult(reset, states, int(name.partition("-")[0]), symbols)
