"""The ledger in memory: what a worker's commits would leave behind."""

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import engine
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import MemoryLedger
from tasks.engine.strategy_run import NewerStateError
from tasks.protocol import batches
from tasks.protocol.digest import digest
from tests.support.events import trade
from tests.support.strategies import BAD, Echo, Grumpy, Together, Version2, Warming, bound, feeds, trades

POOL, SOURCE, VERSION = "trade", "s", "c1"


def strategies() -> tuple[BoundStrategy, ...]:
    echo = Echo.create({"min_signal_interval_s": 1})
    return bound(echo, Grumpy.create({}), Warming.create({}), Together.create({}))


def contents(ledger: MemoryLedger) -> dict[str, Any]:
    """Return everything that a ledger holds."""
    return {
        "fields": {pool: dict(fields) for pool, fields in ledger.fields.items() if fields},
        "signals": list(ledger.signals),
        "letters": list(ledger.letters),
        "audit": list(ledger.audit),
        "counts": ledger.counts.stored(),
    }


def test_a_run_is_gone_with_its_last_reference():
    """No cycle keeps a batch's events until the garbage collector comes: in a sweep that was 200 MiB a process."""
    run = engine.BatchRun(POOL, SOURCE, strategies(), VERSION, {})
    outcome, there = run.finish(trades(1, BAD, 2)), weakref.ref(run)
    gc.disable()
    try:
        del run
        assert there() is None
    finally:
        gc.enable()
    assert outcome.letters


def test_a_batch_comes_to_what_the_engine_makes_of_what_is_held():
    ledger, held, chosen = MemoryLedger(SOURCE), dict[str, bytes | None](), strategies()
    for events in (trades(1, BAD, 2), trades(3, BAD, start=4)):
        by_hand = engine.BatchRun(POOL, SOURCE, chosen, VERSION, held).finish(events)
        assert ledger.run(POOL, events, chosen, VERSION) == by_hand
        held |= by_hand.fields
    assert ledger.fields == {POOL: held}


def test_what_batches_leave_behind_adds_up():
    ledger, chosen = MemoryLedger(SOURCE), strategies()
    first, second = (ledger.run(POOL, events, chosen, VERSION) for events in (trades(1, BAD), trades(BAD, start=3)))
    assert ledger.signals == first.signals + second.signals
    assert ledger.letters == first.letters + second.letters
    assert (ledger.audit, len(first.audit)) == (first.audit, 1)
    assert ledger.counts == first.counts + second.counts
    assert (len(ledger.letters), ledger.counts.of("errors", "grumpy")) == (2, 2)


def test_signals_that_are_taken_are_held_no_longer():
    ledger, chosen = MemoryLedger(SOURCE), strategies()
    first = ledger.run(POOL, trades(1, BAD), chosen, VERSION)
    assert ledger.take_signals() == list(first.signals) != []
    assert (ledger.signals, ledger.letters, ledger.audit) == ([], [], [])
    second = ledger.run(POOL, trades(2, start=3), chosen, VERSION)
    assert ledger.take_signals() == list(second.signals) != []
    assert ledger.counts == first.counts + second.counts


@given(feeds(), st.integers(1, 10))
def test_a_batch_that_is_run_again_changes_nothing(events, size):
    ledger, chosen = MemoryLedger(SOURCE), strategies()
    for batch in batches.split(events, size):
        ledger.run(POOL, batch, chosen, VERSION)
        before = contents(ledger)
        ledger.run(POOL, batch, chosen, VERSION)
        assert contents(ledger) == before


@given(feeds(), st.integers(1, 41))
def test_the_size_of_batches_changes_nothing(events, size):
    whole, parts = MemoryLedger(SOURCE), MemoryLedger(SOURCE)
    whole.run(POOL, events, strategies(), VERSION)
    for batch in batches.split(events, size):
        parts.run(POOL, batch, strategies(), VERSION)
    assert contents(parts) == contents(whole)


def test_pools_have_records_and_states_of_their_own():
    ledger = MemoryLedger(SOURCE)
    for pool in ("one", "other"):
        assert ledger.run(pool, trades(1), bound(Echo.create({})), VERSION).counts.of("applied") == 1
    assert ledger.fields["one"] == ledger.fields["other"]
    assert sorted((pool, name) for pool, name, _ in ledger.records()) == [
        ("one", "record:spot:BTCUSDT:trade"),
        ("other", "record:spot:BTCUSDT:trade"),
    ]


def test_a_run_that_raises_commits_nothing():
    ledger = MemoryLedger(SOURCE)
    ledger.run(POOL, trades(1), bound(Version2.create({})), VERSION)
    before = contents(ledger)
    with pytest.raises(NewerStateError):
        ledger.run(POOL, trades(2, start=2), bound(Echo.create({})), VERSION)
    assert contents(ledger) == before


def test_conditions_hold_for_every_batch():
    ledger = MemoryLedger(SOURCE, engine.RunOptions(is_fatal=lambda _: True))
    ledger.run(POOL, trades(1), bound(Grumpy.create({})), VERSION)
    with pytest.raises(ValueError, match="a bad trade"):
        ledger.run(POOL, trades(BAD, start=2), bound(Grumpy.create({})), VERSION)


def test_ledgers_of_different_symbols_add_up_to_one():
    one, other, both = MemoryLedger(SOURCE), MemoryLedger(SOURCE), MemoryLedger(SOURCE)
    of_btc, of_eth = trades(1, BAD), [trade(symbol="ETHUSDT", id=7, seq=3)]
    for ledger, events in ((one, of_btc), (other, of_eth), (both, of_btc), (both, of_eth)):
        ledger.run(POOL, events, bound(Echo.create({}), Grumpy.create({})), VERSION)
    one.add(other)
    assert contents(one) == contents(both)
    assert digest(one.signals, one.records()) == digest(both.signals, both.records())


@pytest.mark.parametrize(("events", "sizes"), [(0, []), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_events_are_split_in_their_order_into_full_batches(events: int, sizes: list[int]):
    made = trades(*[1.0] * events)
    split = list(batches.split(made, 3))
    assert [len(each) for each in split] == sizes
    assert [each for some in split for each in some] == made
