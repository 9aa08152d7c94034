"""Which records and states of a backtest are written into a ledger, and what forbids it. Pure.

The records are written with the states: an event that the history holds is a repeat when it comes live, gaps are
counted from the history's end, and count and hash go on as those of one run over both. What the ledger itself knows of a
record stays: the position in the live source, the configuration that the audit named last, and an unconfirmed event; a
new record has none of them.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from tasks.errors import UNREADABLE, LedgerError
from tasks.frames.symbols import symbol_of
from tasks.protocol import records
from tasks.protocol.findings import named_some
from tasks.protocol.records import Record
from tasks.protocol.routing import Pool, shard_of


class SeedWrite(NamedTuple):
    """A field to be written."""

    field: str
    #: What it holds now, and must still hold then; empty: nothing.
    expected: bytes
    value: bytes

    @property
    def changes(self) -> bool:
        """Whether the field holds something else now."""
        return self.value != self.expected


class PoolSeed(NamedTuple):
    """What is written into one pool. Nothing, if it holds all of it already."""

    pool: str
    writes: list[SeedWrite]
    #: The number of the ledger that holds them.
    ledger: int = 0

    @property
    def states(self) -> int:
        """How many states are new or other ones."""
        return sum(field.startswith("state:") for field in self._changed)

    @property
    def records(self) -> int:
        """How many records are new or other ones."""
        return sum(map(_is_record, self._changed))

    @property
    def overwritten(self) -> int:
        """How many records and states of the ledger are replaced."""
        return sum(bool(each.expected) and each.changes for each in self.writes)

    @property
    def _changed(self) -> list[str]:
        return [each.field for each in self.writes if each.changes]


def by_ledger(pool: Pool, past: Mapping[str, bytes], ledgers: int) -> dict[int, dict[str, bytes]]:
    """Return a pool's fields by the number of the ledger in which they belong, of `ledgers`."""
    found: dict[int, dict[str, bytes]] = {}
    for field, packed in past.items():
        venue, symbol = _whose(field)
        ledger = shard_of(pool.lane_of(venue, symbol_of(symbol)), ledgers)
        found.setdefault(ledger, {})[field] = packed
    return found


def plan(pool: str, past: Mapping[str, bytes], stored: Mapping[str, bytes], *, replace: bool) -> PoolSeed:
    """Return what to write so that a pool, which holds the fields `stored`, goes on from a backtest's fields `past`.

    Raises LedgerError: the ledger is ahead of the history; a strategy that is not seeded would miss events; or, without
    `replace`, something would be overwritten.
    """
    past_records = {field: records.unpack(packed) for field, packed in past.items() if _is_record(field)}
    live_records = {field: _read(pool, field, packed) for field, packed in stored.items() if _is_record(field)}
    _refuse_if_ahead(pool, past, past_records, live_records)
    new = dict(past)
    for field, record in past_records.items():
        live = live_records.get(field, Record())
        new[field] = records.pack(
            msgspec.structs.replace(
                record,
                applied=live.applied,
                configuration=live.configuration,
                unconfirmed=live.unconfirmed or record.unconfirmed,
            )
        )
    writes = [SeedWrite(field, stored.get(field, b""), value) for field, value in sorted(new.items())]
    # A record without events, of one that was quarantined, is none to be lost.
    taken = [
        each.field
        for each in writes
        if each.expected and each.changes and (each.field not in live_records or live_records[each.field].count)
    ]
    if taken and not replace:
        raise LedgerError(
            f"pool {pool} holds other records or states of these already ({_named(taken)}): --replace overwrites them"
        )
    moved = (each.field for each in writes if each.changes and _is_record(each.field))
    _refuse_gaps(pool, moved, (field for field in stored if field not in past))
    return PoolSeed(pool, writes if any(each.changes for each in writes) else [])


def _refuse_if_ahead(
    pool: str, past: Mapping[str, bytes], past_records: Mapping[str, Record], live_records: Mapping[str, Record]
) -> None:
    """Raise LedgerError where the ledger has events, of what is seeded, that the history lacks."""
    seeded = set(map(_whose, past))
    ahead = [
        field
        for field, live in live_records.items()
        if _users(field) & seeded and live.is_ahead_of(past_records.get(field, Record()))
    ]
    if ahead:
        raise LedgerError(
            f"pool {pool} has had events after the end of the recordings ({_named(ahead)}): seed from recordings that "
            "hold all that the ledger has had, or into another NAMESPACE"
        )


def _refuse_gaps(pool: str, moved: Iterable[str], others: Iterable[str]) -> None:
    """Raise LedgerError where a record moves to the history's end and a state behind it stays where it is."""
    users = {whose for field in moved for whose in _users(field)}
    left = [field for field in others if not _is_record(field) and _whose(field) in users]
    if left:
        raise LedgerError(
            f"pool {pool} has states that would miss events of the recordings ({_named(left)}): seed these strategies "
            "too, or first clear them with `./run tasks state reset NAME`"
        )


def _read(pool: str, field: str, packed: bytes) -> Record:
    try:
        return records.unpack(packed)
    except UNREADABLE as error:
        raise LedgerError(f"pool {pool}: {field} can't be read: {error}") from None


def _is_record(field: str) -> bool:
    return field.startswith("record:")


def _whose(field: str) -> tuple[str, str]:
    """Return venue and symbol of a record or state."""
    _, venue, symbol, _ = field.split(":", 3)
    return venue, symbol


def _users(record: str) -> set[tuple[str, str]]:
    """Return venue and symbol of the states that a record's events change."""
    venue, symbol = _whose(record)
    return {(venue, symbol), (venue, "all")}


def _named(fields: Iterable[str]) -> str:
    """Return the first fields as `state show` names them, and how many more there are."""
    words = (field.split(":", 3) for field in sorted(fields))
    return named_some([f"{venue} {symbol_of(symbol)} {what}" for _, venue, symbol, what in words])
