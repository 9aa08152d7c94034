"""Which records and states are written so that a ledger goes on from a backtest, and what forbids it."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.configuration.bound_strategy import BoundStrategy, PaperBinding
from tasks.errors import LedgerError
from tasks.events import AnyEvent, Position
from tasks.ops.seed_plan import PoolSeed, plan
from tasks.paper import PaperTerms, closed_position
from tasks.protocol import records
from tasks.protocol.records import Record
from tasks.strategy import AnyStrategy
from tests.support.events import book, trade
from tests.support.strategies import Chatty, Echo, Together, Warming, Worker, cut, feeds, trades
from tests.support.strategies.bars import BarSpeaker

RECORD, STATE = "record:spot:BTCUSDT:trade", "state:spot:BTCUSDT:echo"


def held_after(events: Sequence[AnyEvent], *strategies: type[Echo], source: str = "past") -> dict[str, bytes]:
    """Return the records and states of a pool after these events."""
    worker = Worker(*(each.create({}) for each in strategies or (Echo,)), source=source)
    worker.run(events)
    return dict(worker.held)


def written(seed: PoolSeed) -> dict[str, bytes]:
    return {each.field: each.value for each in seed.writes}


def refusal(past: Mapping[str, bytes], stored: Mapping[str, bytes], *, replace: bool) -> str:
    with pytest.raises(LedgerError) as refused:
        plan("trade", past, stored, replace=replace)
    return str(refused.value)


def progress(held: Mapping[str, bytes]) -> dict[str, Record]:
    """Return the records without what is the source's and the configuration's."""
    read = {name: records.unpack(packed) for name, packed in held.items() if name.startswith("record:")}
    return {name: msgspec.structs.replace(each, applied=None, configuration="") for name, each in read.items()}


def states(held: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the states and the paper accounts."""
    return {name: packed for name, packed in held.items() if not name.startswith("record:")}


def with_account(strategy: AnyStrategy) -> BoundStrategy:
    """Return the strategy with a paper account that closes a position after three seconds."""
    return BoundStrategy.of(strategy, paper=PaperBinding("trade", PaperTerms(max_holding_s=3.0), {}))


@given(feeds(), st.integers(0, 40), st.lists(st.integers(1, 40)))
def test_what_comes_after_a_seed_is_that_of_one_run_over_both(events: list[AnyEvent], at: int, places: list[int]):
    """Whatever the feed brings, and wherever it is cut: into history and live, and live into batches."""
    made: list[AnyStrategy] = [Echo.create({"min_signal_interval_s": 2}), Chatty.create({}), Warming.create({})]
    strategies = list(map(with_account, [*made, BarSpeaker.create({"bars": ["5s", "3tick"]}), Together.create({})]))
    whole, past, live = Worker(*strategies), Worker(*strategies), Worker(*strategies, source="live")
    for part in (events[:at], events[at:]):
        if part:
            whole.run(part)
    if events[:at]:
        past.run(events[:at])
    live.held.update(written(plan("trade", past.held, {}, replace=False)))
    for batch in cut(events[at:], places):
        if batch:
            live.run(batch)
    assert live.signals == whole.signals[len(past.signals) :]
    # Within one commit, positions stand by account; where a batch ends may part them otherwise.
    assert sorted(live.ledger.positions) == sorted(whole.ledger.positions[len(past.ledger.positions) :])
    assert progress(live.held) == progress(whole.held)
    assert states(live.held) == states(whole.held)


def test_a_position_that_the_history_opened_is_closed_live():
    """So the property above is not true of accounts without positions."""
    events, strategy = trades(*[1.0] * 8), with_account(Echo.create({}))
    past, live = Worker(strategy), Worker(strategy, source="live")
    past.run(events[:4])
    live.held.update(written(plan("trade", past.held, {}, replace=False)))
    live.run(events[4:])
    first, *_ = (closed_position.unpack(packed) for packed in live.ledger.positions)
    assert (past.ledger.positions, first.opened_ms, first.closed_ms) == ([], events[1].time_ms, events[4].time_ms)


def test_a_new_record_is_at_no_position_and_under_no_configuration():
    """So live positions are compared with none of the history's, and the audit names the first event that comes live."""
    past = held_after(trades(1, 1, 1))
    record = records.unpack(written(plan("trade", past, {}, replace=False))[RECORD])
    assert (record.applied, record.configuration, record.count, record.id) == (None, "", 3, 3)


def test_events_of_the_history_are_repeats_when_they_come_live():
    both = trades(1, 2, 3, 4, 5)
    live = Worker(Echo.create({}), source="live")
    live.held.update(written(plan("trade", held_after(both[:3]), {}, replace=False)))
    outcome = live.run(both[1:])
    assert outcome.counts.of("repeats") == 2
    assert progress(live.held) == progress(held_after(both))


def test_gaps_are_counted_from_the_end_of_the_history():
    live = Worker(Echo.create({}), source="live")
    live.held.update(written(plan("trade", held_after(trades(1, 1)), {}, replace=False)))
    assert live.run(trades(1, start=7)).counts.of("gaps") == 4


@pytest.mark.parametrize("replace", [False, True])
def test_a_ledger_that_had_later_events_is_never_set_back(replace):
    past, stored = held_after(trades(1, 1)), held_after(trades(1, 1, 1), source="live")
    assert refusal(past, stored, replace=replace) == (
        "pool trade has had events after the end of the recordings (spot BTCUSDT trade): seed from recordings that hold "
        "all that the ledger has had, or into another NAMESPACE"
    )
    # Nor where its states were reset.
    assert "has had events after" in refusal(past, {RECORD: stored[RECORD]}, replace=replace)


@pytest.mark.parametrize(
    ("strategy", "live"), [(Echo, book()), (Together, trade(symbol="ETHUSDT")), (Together, book(symbol="SOLUSDT"))]
)
def test_events_behind_the_same_state_that_the_history_lacks_forbid_it(strategy, live):
    past = held_after(trades(1, 1), strategy)
    assert "has had events after" in refusal(past, held_after([live], strategy, source="live"), replace=True)


@pytest.mark.parametrize("live", [trade(symbol="ETHUSDT"), trade(venue="usdm"), book(symbol="SOLUSDT")])
def test_what_the_history_does_not_name_stays_as_it_is(live):
    past = held_after(trades(1, 1))
    assert written(plan("trade", past, held_after([live], source="live"), replace=False)).keys() == past.keys()


def test_live_states_within_the_history_are_overwritten_only_on_demand():
    past, stored = held_after(trades(1, 1, 1)), held_after(trades(1, start=2), source="live")
    assert refusal(past, stored, replace=False) == (
        "pool trade holds other records or states of these already (spot BTCUSDT trade, spot BTCUSDT echo): "
        "--replace overwrites them"
    )
    seed = plan("trade", past, stored, replace=True)
    assert (seed.overwritten, seed.states, seed.records) == (2, 1, 1)
    assert {each.field: each.expected for each in seed.writes} == stored
    assert written(seed)[STATE] == past[STATE]
    record = records.unpack(written(seed)[RECORD])
    assert (record.applied, record.configuration) == (Position("live", 2), "c1"), "what is the ledger's own stays"
    assert progress(written(seed)) == progress(past)


def test_a_record_is_not_moved_on_past_a_strategy_that_is_not_seeded():
    stored = held_after(trades(1), Echo, Warming, source="live")
    assert refusal(held_after(trades(1, 1), Warming), stored, replace=True) == (
        "pool trade has states that would miss events of the recordings (spot BTCUSDT echo): seed these strategies too, "
        "or first clear them with `./run tasks state reset NAME`"
    )
    del stored[STATE]
    assert plan("trade", held_after(trades(1, 1), Warming), stored, replace=True).states == 1


@pytest.mark.parametrize("later", [trade(symbol="ETHUSDT"), book()])
def test_nor_does_a_new_record_begin_behind_a_state_that_is_not_seeded(later):
    class Other(Together):
        name = "other"

    past, stored = held_after([trade(), later], Other), held_after([trade()], Together, source="live")
    assert "would miss events of the recordings (spot all together)" in refusal(past, stored, replace=True)


def test_strategies_of_a_pool_can_be_seeded_one_after_the_other():
    seeded = written(plan("trade", held_after(trades(1, 1)), {}, replace=False))
    second = plan("trade", held_after(trades(1, 1), Warming), seeded, replace=False)
    assert (second.states, second.overwritten) == (1, 0)
    assert written(second)[RECORD] == seeded[RECORD]


def test_what_is_there_already_is_not_written_again():
    past = held_after(trades(1, 1))
    assert plan("trade", past, written(plan("trade", past, {}, replace=False)), replace=False).writes == []


def test_a_record_without_events_is_none_to_be_lost():
    passed_over = records.pack(Record(applied=Position("live", 9)))
    seed = plan("trade", held_after(trades(1, 1)), {RECORD: passed_over}, replace=False)
    assert records.unpack(written(seed)[RECORD]).applied == Position("live", 9)


def test_an_unconfirmed_event_of_the_ledger_is_not_lost():
    stored = held_after([*trades(1), trade(id=2**62, seq=9)], source="live")
    seed = plan("trade", held_after(trades(1, 1)), stored, replace=True)
    assert records.unpack(written(seed)[RECORD]).release() == trade(id=2**62, seq=9)


def test_a_record_that_can_not_be_read_is_one_line():
    assert refusal(held_after(trades(1)), {RECORD: b"\xc1"}, replace=True).startswith(
        f"pool trade: {RECORD} can't be read"
    )
