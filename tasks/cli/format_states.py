"""Records and states for people and for programs."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from tasks.errors import UNREADABLE
from tasks.ops.states import StoredField
from tasks.protocol.utc_time import utc
from tasks.strategy import AnyStrategy
from tasks.telemetry.terminal import one_line


class StateRow(NamedTuple):
    """One line of the table of states."""

    pool: str
    venue: str
    symbol: str
    what: str
    events: str
    size: str
    note: str


_ALIGNED = "<<<<>><"
_HEAD = StateRow("pool", "venue", "symbol", "record or state", "events", "bytes", "")


def row(found: StoredField, strategy: AnyStrategy | None) -> StateRow:
    """Return the line of a record, or of a state; `strategy` as it is in force, if that is known."""
    of = found.name
    try:
        events, note = _state(found, strategy) if of.is_state else _record(found)
    except UNREADABLE as error:
        events, note = "", f"can't be read: {one_line(str(error))}"
    pool, venue, symbol, what = (one_line(word) for word in (of.pool, of.venue, of.symbol, of.what))
    return StateRow(pool, venue, symbol, what, events, f"{len(found.packed):,}", note)


def _record(found: StoredField) -> tuple[str, str]:
    record = found.record()
    more = {"generation": record.generation, "ids jumped over": record.gaps}
    facts = [f"{name} {count:,}" for name, count in more.items() if count]
    # Below zero: the exchange gives no ids.
    number = f", id {record.id}" if record.id >= 0 else ""
    last = f"last {utc(record.time_ms)}{number}" if record.count else "none given to strategies"
    return f"{record.count:,}", ", ".join([last, *facts])


def _state(found: StoredField, strategy: AnyStrategy | None) -> tuple[str, str]:
    saved = found.saved()
    facts = [f"version {saved.version}"]
    if strategy and saved.version > strategy.version:
        facts.append(f"newer than this release's {strategy.version}")
    if strategy and saved.seen < strategy.warmup:
        facts.append(f"warms up: {saved.seen:,} of {strategy.warmup:,}")
    return f"{saved.seen:,}", ", ".join(facts)


def lines(rows: Iterable[StateRow]) -> Iterator[str]:
    """Yield the table: as wide as it is, numbers to the right."""
    table = [_HEAD, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for each in table:
        cells = zip(each, _ALIGNED, widths, strict=True)
        yield "  ".join(f"{cell:{align}{width}}" for cell, align, width in cells).rstrip()


def facts(found: StoredField) -> dict[str, Any]:
    """Return everything, for JSON."""
    name = found.name
    about: dict[str, Any] = {"pool": name.pool, "venue": name.venue, "symbol": name.symbol}
    about |= {"strategy" if name.is_state else "kind": name.what, "bytes": len(found.packed)}
    try:
        return about | (_state_facts(found) if name.is_state else _record_facts(found))
    except UNREADABLE as error:
        return about | {"unreadable": str(error)}


def _record_facts(found: StoredField) -> dict[str, Any]:
    record = found.record()
    told = msgspec.structs.asdict(record)
    return told | {"applied": str(record.applied or ""), "hash": record.hash.hex()}


def _state_facts(found: StoredField) -> dict[str, Any]:
    saved = found.saved()
    state = msgspec.to_builtins(msgspec.msgpack.decode(saved.state), str_keys=True)
    open_bars = {
        symbol: {spec: msgspec.structs.asdict(each) for spec, each in of_symbol.items() if each}
        for symbol, of_symbol in saved.bars.items()
    }
    return {"version": saved.version, "seen": saved.seen, "state": state} | ({"bars": open_bars} if open_bars else {})
