"""A slice takes a block on, and no set disturbs another."""

from pathlib import Path

import pytest

from tasks.backtest import backtest
from tasks.configuration import named_strategies
from tasks.errors import DatasetError
from tasks.sweep import figures, slice_run
from tasks.sweep.block import Block
from tasks.sweep.datasets.folder import dataset_path
from tasks.sweep.slice_run import BlockState, SliceLimits
from tasks.sweep.walk_forward import Window
from tests.support.events import TIME_MS
from tests.support.files import sweeps

WHOLE = SliceLimits(budget_s=3_600.0, hang_s=2.0)
#: Every slice ends after its first event.
SHORTEST = SliceLimits(budget_s=0.0, hang_s=20.0)


def finish(block: Block, directory: Path, limits: SliceLimits = WHOLE) -> BlockState:
    state = BlockState()
    while not state.is_finished(block):
        state = slice_run.run(block, state, directory, limits)
    return state


def errors(state: BlockState, block: Block) -> dict[str, str]:
    return {unit.parameters["mood"]: state.results[unit.id].error for unit in block.units}


def test_figures_are_those_of_a_backtest_with_the_same_parameters(tmp_path: Path):
    made = sweeps.dataset(tmp_path, sweeps.prices())
    sets = sweeps.moods("calm", every=7) + sweeps.moods("calm", every=5)
    (block,) = sweeps.blocks([made], sets)
    state = finish(block, tmp_path)
    for each, unit in zip(sets, block.units, strict=True):
        chosen = named_strategies.apply(sweeps.configuration(), sweeps.MOODS, each.parameters)
        wanted = backtest.run([tmp_path / "trades.jsonl"], chosen)
        (account, _) = wanted.paper
        row = figures.row("moods", each.parameters, state.results[unit.id].segments)
        assert row.positions > 3
        assert row.signals == wanted.signals["moods"]
        for name in (
            "positions",
            "open",
            "pnl",
            "unrealised",
            "fees",
            "turnover",
            "max_drawdown",
            "hit_rate",
            "exposure",
        ):
            assert getattr(row, name) == getattr(account, name), name


def test_slices_of_one_event_each_come_to_the_same(tmp_path: Path):
    (block,) = sweeps.blocks([sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods("calm", "raise"))
    assert finish(block, tmp_path, SHORTEST).results == finish(block, tmp_path).results


def test_a_slice_ends_at_once_where_it_is_unwanted(tmp_path: Path):
    (block,) = sweeps.blocks([sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods("calm"))
    unwanted = SliceLimits(budget_s=3_600.0, is_unwanted=lambda: True, look_s=0.0)
    assert slice_run.run(block, BlockState(), tmp_path, unwanted).events == 1


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ("raise", "a bad mood"),
        ("exit", "SystemExit: 1"),
        ("hang", "within 2 s"),
        ("sleep", "within 2 s"),
        ("unsaveable", "object"),
    ],
)
def test_a_set_that_misbehaves_fails_alone(tmp_path: Path, mood: str, said: str):
    made = sweeps.dataset(tmp_path, sweeps.prices())
    (block,) = sweeps.blocks([made], sweeps.moods("calm", mood))
    (alone,) = sweeps.blocks([made], sweeps.moods("calm"))
    state = finish(block, tmp_path)
    assert said in errors(state, block)[mood]
    assert "moods.py" in errors(state, block)[mood] or mood == "unsaveable"
    assert "During handling of" not in errors(state, block)[mood]
    assert state.results[alone.units[0].id] == finish(alone, tmp_path).results[alone.units[0].id]


def test_a_block_whose_sets_have_all_failed_is_finished(tmp_path: Path):
    (block,) = sweeps.blocks([sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods("raise"))
    assert finish(block, tmp_path).events == 30


def test_the_state_of_one_unit_goes_on_by_itself(tmp_path: Path):
    (block,) = sweeps.blocks([sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods("calm", "raise", every=5))
    half = BlockState()
    while half.events < 40:
        half = slice_run.run(block, half, tmp_path, SHORTEST)
    together = finish(block, tmp_path)
    for unit in block.units:
        alone, state = block.with_units((unit,)), half.of(unit)
        while not state.is_finished(alone):
            state = slice_run.run(alone, state, tmp_path, WHOLE)
        assert state.results == {unit.id: together.results[unit.id]}


def test_a_dataset_that_is_damaged_is_no_fault_of_a_strategy(tmp_path: Path):
    made = sweeps.dataset(tmp_path, sweeps.prices())
    (block,) = sweeps.blocks([made], sweeps.moods("calm"))
    (dataset_path(tmp_path, made.key) / made.files[0].file).write_bytes(b"")
    with pytest.raises(DatasetError, match="damaged"):
        slice_run.run(block, BlockState(), tmp_path, WHOLE)


def windowed(directory: Path, future: float = 1.0) -> tuple[list[Block], list[BlockState]]:
    """Run over a train window of 40 s and a test window of 30 s; `future` changes all prices that come later."""
    events = sweeps.prices()
    window = Window(TIME_MS, TIME_MS + 40_000, TIME_MS + 70_000)
    later = [sweeps.priced(each, future) if each.time_ms >= window.test_from_ms else each for each in events]
    blocks = sweeps.blocks([sweeps.dataset(directory, later)], sweeps.moods("calm", every=4), [window])
    return blocks, [finish(block, directory) for block in blocks]


def test_a_window_reads_its_own_events_and_no_others(tmp_path: Path):
    (block,), (state,) = windowed(tmp_path)
    train, test = state.results[block.units[0].id].segments
    assert state.events == 69
    assert (train.first_ms, train.last_ms) == (TIME_MS + 1_000, TIME_MS + 39_000)
    assert (test.first_ms, test.last_ms) == (TIME_MS + 40_000, TIME_MS + 69_000)


def test_what_is_known_in_sample_does_not_depend_on_the_future(tmp_path: Path):
    (tmp_path / "poisoned").mkdir()
    (block,), (state,) = windowed(tmp_path)
    (poisoned_block,), (poisoned,) = windowed(tmp_path / "poisoned", future=1.1)
    train, test = state.results[block.units[0].id].segments
    poisoned_train, poisoned_test = poisoned.results[poisoned_block.units[0].id].segments
    assert poisoned_train == train
    assert poisoned_test != test


def test_accounts_begin_empty_in_each_segment_and_states_go_on(tmp_path: Path):
    (block,), (state,) = windowed(tmp_path)
    train, test = state.results[block.units[0].id].segments
    # Of 39 and of 30 trades every fourth gives a signal: the count goes on through the cut.
    assert (train.signals, test.signals) == (9, 8)
    assert all(minute >= (TIME_MS + 40_000) // figures.MINUTE_MS for minute in test.by_minute)
