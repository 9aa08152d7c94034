"""Resets, seedings and prunings over the ledgers of two shards: each ledger by itself, whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from tasks.errors import LedgerError
from tasks.ledger.reader import LedgerReader
from tasks.ops import ledger_parts
from tasks.ops.record_reset import RecordReset
from tasks.ops.state_prune import StatePruner
from tasks.ops.state_reset import found_states, removed_states
from tasks.ops.state_seed import SeedContent, StateSeeder
from tasks.ops.states import StateFilter, StateStore
from tests.support.stacks.two_ledgers import HOMES, POOL, SplitLedger, split_ledger
from tests.support.strategies import Echo, Worker, trades


@pytest.fixture
def split(redis_url: str, namespace: str) -> Iterator[SplitLedger]:
    with split_ledger(redis_url, namespace) as split:
        yield split


@pytest.fixture
def states(split: SplitLedger) -> Iterator[StateStore]:
    with closing(StateStore(split.settings)) as states:
        yield states


def field_of(split: SplitLedger, kind: str, symbol: str) -> str:
    """Return a field of a symbol; the tests see that it is in its ledger, and in that alone."""
    field = f"{kind}:spot:{symbol}:{'trade' if kind == 'record' else 'echo'}"
    assert field not in split.fields(1 - split.home(symbol))
    return field


def test_states_of_all_ledgers_are_found_and_reset_where_they_are(split, states):
    for symbol in HOMES:
        split.commit(symbol, 1.0)
    chosen = StateFilter(strategy="echo")
    names = found_states(states, chosen)
    assert sorted((name.symbol, name.ledger) for name in names) == sorted(zip(HOMES, (0, 1), strict=True))
    assert removed_states(states, names, chosen, "ann", "why") == {"trade": 2}
    assert [split.fields(number) for number in (0, 1)] == [{field_of(split, "record", symbol)} for symbol in HOMES]
    assert [(done.states, done.reset.author) for done in states.history()] == [(1, "ann"), (1, "ann")]


def test_a_ledger_in_which_nothing_changes_is_left_alone(split, states):
    for symbol in HOMES:
        split.commit(symbol, 1.0)
    chosen = StateFilter(strategy="echo", symbol=HOMES[1])
    removed_states(states, found_states(states, chosen), chosen, "ann", "")
    assert field_of(split, "state", HOMES[0]) in split.fields(0)
    assert [split.clients[number].hget(split.keys.pool("trade"), "resets") for number in (0, 1)] == [None, b"1"]


def test_where_a_later_ledger_refuses_it_is_told_what_is_done(split, states):
    for symbol in HOMES:
        split.commit(symbol, 1.0)
    chosen = StateFilter(strategy="echo")
    names = found_states(states, chosen)
    split.clients[1].set(split.keys.resets, "no stream")
    with pytest.raises(
        LedgerError, match=r"done in the ledgers of the shards 0, not in that of shard 1 and behind: .*"
    ):
        removed_states(states, names, chosen, "ann", "")
    split.clients[1].delete(split.keys.resets)
    assert removed_states(states, found_states(states, chosen), chosen, "ann", "") == {"trade": 1}


def test_the_first_ledger_that_refuses_raises_what_it_does():
    def refuse(ledger: int, part: str) -> str:
        if part == "bad":
            raise OSError("gone")
        return f"{part} {ledger}"

    assert ledger_parts.change_each({1: "b", 0: "a"}, refuse) == ["a 0", "b 1"]
    with pytest.raises(OSError, match="gone"):
        ledger_parts.change_each({1: "b", 0: "bad"}, refuse)
    with pytest.raises(
        LedgerError, match="of the shards 0, 1, not in that of shard 2 and behind: gone; doing it again"
    ):
        ledger_parts.change_each({0: "a", 2: "bad", 1: "b", 3: "c"}, refuse)


def test_records_are_reset_where_they_are(split):
    for symbol in HOMES:
        split.commit(symbol, 1.0)
    resetter = RecordReset(split.settings)
    for symbol in HOMES:
        assert resetter.reset(StateFilter(symbol=symbol), "ann", "") == 1
    with closing(LedgerReader(split.settings)) as reader:
        assert sorted((field, record.id, record.count) for _, field, record in reader.records()) == sorted(
            (field_of(split, "record", symbol), -1, 1) for symbol in HOMES
        )


def seeding(*symbols: str) -> SeedContent:
    past = Worker(Echo.create({}))
    for symbol in symbols:
        past.run(trades(1.0, 1.0, symbol=symbol))
    return SeedContent(past.ledger.fields, "c1", "", "", ("past",), {"trade": POOL})


def test_what_is_seeded_goes_to_the_ledger_of_its_symbol(split):
    seeder = StateSeeder(split.settings)
    done = seeder.seed(seeding(*HOMES), "ann", "", replace=False)
    assert [(each.ledger, each.states, each.records) for each in done] == [(0, 1, 1), (1, 1, 1)]
    for number, symbol in enumerate(HOMES):
        assert split.fields(number) == {field_of(split, kind, symbol) for kind in ("record", "state")}
    assert seeder.seed(seeding(*HOMES), "ann", "", replace=False) == []


@pytest.mark.parametrize("refusing", [0, 1])
def test_where_one_ledger_has_no_plan_nothing_is_seeded(split, refusing: int):
    symbol = HOMES[refusing]
    split.commit(symbol, 1.0, 1.0, 1.0)
    with pytest.raises(LedgerError, match="has had events after the end of the recordings"):
        StateSeeder(split.settings).seed(seeding(*HOMES), "ann", "", replace=True)
    assert split.fields(1 - refusing) == set()


@pytest.mark.parametrize("symbols", [HOMES, HOMES[1:]])
def test_states_of_another_configuration_go_into_no_ledger(split, symbols: tuple[str, ...]):
    split.clients[0].hset(split.keys.configuration, "version", "c2")
    with pytest.raises(LedgerError, match="configuration was changed meanwhile; nothing was put in"):
        StateSeeder(split.settings).seed(seeding(*symbols), "ann", "", replace=False)
    assert [split.fields(number) for number in (0, 1)] == [set(), set()]


def test_a_configuration_that_changes_between_two_ledgers_is_told(split, monkeypatch):
    seeder = StateSeeder(split.settings)
    write: Callable[..., str] = seeder._write

    def written(ledger: int, *of: Any) -> str:
        answer = write(ledger, *of)
        split.clients[0].hset(split.keys.configuration, "version", "c2")
        return answer

    monkeypatch.setattr(seeder, "_write", written)
    with pytest.raises(
        LedgerError, match=r"done in the ledgers of the shards 0, not in that of shard 1 .* configuration"
    ):
        seeder.seed(seeding(*HOMES), "ann", "", replace=False)
    assert [bool(split.fields(number)) for number in (0, 1)] == [True, False]


def test_idle_symbols_go_from_their_ledgers_with_their_audit_lines(split):
    old = ("ADAUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")
    assert {split.home(symbol) for symbol in old} == {0, 1}
    for symbol in old:
        split.commit(symbol, 1.0)
    for symbol in HOMES:
        split.commit(symbol, *[1.0] * 100)
    pruner = StatePruner(split.settings)
    found = pruner.find(50_000)
    assert sorted(each.name.symbol for each in found.symbols) == sorted(old)
    assert sorted(pruner.prune(found, 50, "ann", "gone")) == sorted(each.name for each in found.symbols)
    for number, symbol in enumerate(HOMES):
        assert split.fields(number) == {field_of(split, kind, symbol) for kind in ("record", "state")}
        assert split.clients[number].xlen(split.keys.audit) == 1


def test_a_symbol_in_two_ledgers_is_seen_as_one_and_goes_from_both(split):
    """That of a pool with a lane for all symbols is in the first ledger, wherever the symbol has its own."""
    symbol = HOMES[1]
    split.commit(symbol, 1.0)
    field = field_of(split, "record", symbol)
    record = split.clients[1].hget(split.keys.pool("trade"), field)
    split.clients[0].hset(split.keys.pool("basket"), field, record)
    split.commit(HOMES[0], *[1.0] * 100)
    pruner = StatePruner(split.settings)
    assert pruner.prune(pruner.find(50_000), 50, "ann", "") == [("spot", symbol)]
    assert split.fields(1) == set()
    assert split.clients[0].hget(split.keys.pool("basket"), field) is None
