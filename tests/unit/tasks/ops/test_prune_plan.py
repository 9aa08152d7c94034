"""Which symbols are idle, and what goes with them."""

import msgspec
import pytest

from tasks.configuration.audit import AuditLine
from tasks.events import Position
from tasks.ops.prune_plan import (
    MAX_BYTES,
    MAX_SYMBOLS,
    IdleSymbol,
    IdleSymbols,
    LedgerField,
    MarketSymbol,
    complete,
    idle_symbols,
    portions,
)
from tasks.protocol import records
from tasks.protocol.records import Record

NOW_MS = 1_000_000


def record(symbol: str, time_ms: int, pool: str = "trade", *, kind: str = "trade", at: str = "log@5") -> LedgerField:
    packed = records.pack(Record(applied=Position.parse(at), id=1, time_ms=time_ms, count=1))
    return LedgerField(pool, f"record:spot:{symbol}:{kind}", packed)


def idle(*held: LedgerField, idle_ms: int = 1_000, frontier: int = 9) -> IdleSymbols:
    return idle_symbols(held, idle_ms, NOW_MS, {"log": frontier})


def names(found: IdleSymbols) -> list[str]:
    return [each.name.symbol for each in found.symbols]


def test_symbols_without_an_event_for_so_long_before_the_newest_are_idle():
    found = idle(record("NEW", 50_000), record("EDGE", 49_000), record("OLD", 48_999), record("NONE", 0))
    assert names(found) == ["NONE", "OLD"]
    assert (found.newest_ms, found.since_ms) == (50_000, 49_000)


def test_a_feed_that_stood_still_makes_no_symbol_idle():
    assert names(idle(record("A", 500), record("B", 400))) == []
    assert names(idle()) == []


def test_a_time_from_the_future_makes_no_symbol_idle_that_is_not():
    found = idle(record("FORGED", 10**14), record("A", NOW_MS - 500), record("B", NOW_MS - 2_000))
    assert names(found) == ["B"]


def test_a_symbol_is_idle_if_it_is_in_every_pool_and_of_every_kind():
    newest = record("A", 50_000)
    assert names(idle(newest, record("B", 0), record("B", 50_000, "depth", kind="depth"))) == []
    assert names(idle(newest, record("B", 0), record("B", 0, "depth", kind="depth"))) == ["B"]


def test_what_may_be_read_again_stays_so_that_it_is_not_applied_twice():
    """In a stream, events above the frontier are read again when ingest starts; those of other sources are not."""
    assert names(idle(record("A", 50_000), record("B", 0, at="log@10"), record("C", 0, at="core@10"))) == ["C"]


def test_a_symbol_of_which_a_record_can_not_be_read_stays():
    damaged = LedgerField("depth", "record:spot:B:depth", b"x")
    assert names(idle(record("A", 50_000), record("B", 0), damaged)) == []


def test_states_accounts_and_audit_lines_of_its_records_go_with_a_symbol():
    found = idle(record("NEW", 50_000), record("A%2FB", 0))
    beside = [
        LedgerField("trade", f"{kind}:spot:{token}:x", b"s")
        for kind in ("state", "paper")
        for token in ("A%2FB", "NEW")
    ]
    line = AuditLine("c1", "trade", "spot", "A/B", "trade", 1, 0)
    others = [msgspec.structs.replace(line, pool="depth"), msgspec.structs.replace(line, symbol="NEW")]
    packed = [msgspec.json.encode(each) for each in (line, *others, line)]
    complete(found, beside, zip("abcd", packed, strict=True))
    [symbol] = found.symbols
    assert symbol.name == MarketSymbol("spot", "A/B")
    assert [each.name for each in symbol.fields] == [
        "record:spot:A%2FB:trade",
        "state:spot:A%2FB:x",
        "paper:spot:A%2FB:x",
    ]
    assert symbol.lines == ["a", "d"]
    assert [found.count(kind) for kind in ("record", "state", "paper")] == [1, 1, 1]


def test_a_record_that_was_not_there_must_not_be_there_when_it_is_removed():
    [symbol] = idle(record("NEW", 50_000), record("A", 0)).symbols
    expected = {(pool, name): held for pool, name, held in symbol.expected(["depth", "trade"])}
    assert expected["trade", "record:spot:A:trade"] != b""
    assert expected["depth", "record:spot:A:trade"] == expected["trade", "record:spot:A:depth"] == b""


@pytest.mark.parametrize(
    ("count", "size", "sizes"), [(0, 1, []), (450, 1, [200, 200, 50]), (3, MAX_BYTES // 2, [1, 1, 1])]
)
def test_so_much_is_removed_at_once(count: int, size: int, sizes: list[int]):
    symbols = [
        IdleSymbol(MarketSymbol("spot", "A"), [LedgerField("trade", "record:spot:A:trade", bytes(size))])
    ] * count
    assert [len(portion) for portion in portions(symbols)] == sizes
    assert MAX_SYMBOLS == 200
