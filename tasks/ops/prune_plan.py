"""Which symbols of a ledger are idle, and what it holds of them. Pure.

A symbol is idle if none of its records, in any pool, had an event for so long before the newest event of all. Counting
from that one, and not from now, a feed that stood still makes no symbol idle, and neither does an old recording that is
replayed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from tasks.configuration.audit import read_line
from tasks.errors import UNREADABLE
from tasks.events import KINDS, Position
from tasks.frames.symbols import symbol_of, token
from tasks.ledger.entry_id import by_ledger
from tasks.protocol.records import unpack

#: So many symbols, and about so many bytes, are removed at once: Redis does nothing else meanwhile.
MAX_SYMBOLS, MAX_BYTES = 200, 4 * 1024 * 1024


class MarketSymbol(NamedTuple):
    """A market's symbol, as it is spelled there."""

    venue: str
    symbol: str

    def __str__(self) -> str:
        """Return it for a person."""
        return f"{self.venue} {self.symbol}"


class LedgerField(NamedTuple):
    """A field of a pool that belongs to a symbol, and what it holds."""

    pool: str
    name: str
    packed: bytes
    #: The number of the ledger that holds it.
    ledger: int = 0

    @property
    def kind(self) -> str:
        """What it is: record, state or paper."""
        return self.name.partition(":")[0]

    @property
    def of(self) -> MarketSymbol:
        """Whose it is."""
        _, venue, symbol, _ = self.name.split(":", 3)
        return MarketSymbol(venue, symbol_of(symbol))


class IdleSymbol(msgspec.Struct):
    """A symbol that is to be removed, as it was read."""

    name: MarketSymbol
    #: Its records, and beside them the states and paper accounts.
    fields: list[LedgerField]
    #: The ids of its lines in the audit: they live as long as its records.
    lines: list[str] = msgspec.field(default_factory=list)

    @property
    def size(self) -> int:
        """About how many bytes it takes to send."""
        return sum(len(each.name) + len(each.packed) for each in self.fields) + sum(map(len, self.lines))

    @property
    def parts(self) -> dict[int, "IdleSymbol"]:
        """What each ledger holds of it, by the ledger's number; ids of lines as the ledger has them.

        More than one does where it is in a pool that is keyed by all symbols, too.
        """
        lines = by_ledger(self.lines)
        ledgers = sorted({*lines, *(each.ledger for each in self.fields)})
        return {
            ledger: IdleSymbol(
                self.name, [each for each in self.fields if each.ledger == ledger], lines.get(ledger, [])
            )
            for ledger in ledgers
        }

    def expected(self, pools: Iterable[str]) -> Iterator[tuple[str, str, bytes]]:
        """Yield pool, field and what it must hold: every record that there may be, and what stands beside them."""
        held = {(each.pool, each.name): each.packed for each in self.fields}
        records = (f"record:{self.name.venue}:{token(self.name.symbol)}:{kind}" for kind in KINDS)
        absent = {(pool, record): b"" for record in records for pool in pools}
        for (pool, name), packed in (absent | held).items():
            yield pool, name, packed


class IdleSymbols(NamedTuple):
    """The idle symbols of a ledger, and since when they have been."""

    symbols: list[IdleSymbol]
    #: The newest event of all, and the moment since when these had none; unix milliseconds.
    newest_ms: int
    since_ms: int

    def count(self, kind: str) -> int:
        """Return how many fields of a kind are to be removed."""
        return sum(field.kind == kind for symbol in self.symbols for field in symbol.fields)


def idle_symbols(
    records: Iterable[LedgerField], idle_ms: int, now_ms: int, frontiers: Mapping[str, int]
) -> IdleSymbols:
    """Return the symbols that are idle, with their records alone.

    `frontiers` has, by source, up to which number nothing is read again. A symbol that had an event after that stays,
    because that event could be applied twice; so does one of which a record can't be read.
    """
    held, last_ms, stays = (
        defaultdict[MarketSymbol, list[LedgerField]](list),
        dict[MarketSymbol, int](),
        set[MarketSymbol](),
    )
    for each in records:
        held[each.of].append(each)
        try:
            record = unpack(each.packed)
        except UNREADABLE:
            stays.add(each.of)
            continue
        last_ms[each.of] = max(record.time_ms, last_ms.get(each.of, 0))
        if not _is_settled(record.applied, frontiers):
            stays.add(each.of)
    newest_ms = min(now_ms, max(last_ms.values(), default=0))
    since_ms = newest_ms - idle_ms
    idle = [name for name, at_ms in sorted(last_ms.items()) if at_ms < since_ms and name not in stays]
    return IdleSymbols([IdleSymbol(name, held[name]) for name in idle], newest_ms, since_ms)


def _is_settled(applied: Position | None, frontiers: Mapping[str, int]) -> bool:
    return applied is None or applied.seq <= frontiers.get(applied.source, applied.seq)


def complete(found: IdleSymbols, beside: Iterable[LedgerField], lines: Iterable[tuple[str, bytes]]) -> None:
    """Add states and paper accounts, and the ids of audit lines, to the symbols whose they are.

    They have to be read after the records: what changed since then is seen where it is removed.
    """
    named = {symbol.name: symbol for symbol in found.symbols}
    for each in beside:
        if symbol := named.get(each.of):
            symbol.fields.append(each)
    records = {(each.pool, each.name): symbol for symbol in found.symbols for each in symbol.fields}
    for entry, packed in lines:
        try:
            line = read_line(packed)
        except UNREADABLE:
            continue
        if symbol := records.get((line.pool, f"record:{line.venue}:{token(line.symbol)}:{line.kind}")):
            symbol.lines.append(entry)


def portions(symbols: Iterable[IdleSymbol]) -> Iterator[list[IdleSymbol]]:
    """Yield the symbols in lists that are removed at once."""
    portion, size = list[IdleSymbol](), 0
    for symbol in symbols:
        if portion and (len(portion) == MAX_SYMBOLS or size + symbol.size > MAX_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(symbol)
        size += symbol.size
    if portion:
        yield portion
