"""What is run of a sweep: parts of recordings, units, blocks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasks.configuration import Configuration
from tasks.configuration.model import check
from tasks.errors import RecordingError, SettingsError
from tasks.events import AnyEvent
from tasks.sweep import work_plan
from tasks.sweep.block import EVER, Block
from tasks.sweep.datasets.dataset import Dataset
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.walk_forward import Window
from tasks.sweep.work_plan import MOST_UNITS, WorkPlan
from tests.support.events import TIME_MS
from tests.support.files import sweeps
from tests.support.files.sweeps import MOODS, moods


def received(events: Sequence[AnyEvent], later_s: float = 0.0) -> list[AnyEvent]:
    """Return events received when they happened, so much later."""
    shift_ms = int(later_s * 1_000)
    return [
        msgspec.structs.replace(
            each, time_ms=each.time_ms + shift_ms, ingested_at_ns=(each.time_ms + shift_ms) * 1_000_000
        )
        for each in events
    ]


def datasets(directory: Path, *recordings: Sequence[AnyEvent]) -> list[Dataset]:
    return [sweeps.dataset(directory, events, f"{number}.jsonl") for number, events in enumerate(recordings)]


def plan(
    among: Sequence[Dataset],
    sets: Sequence[ParameterSet] = (),
    windows: Sequence[Window] = (),
    configuration: Configuration | None = None,
) -> WorkPlan:
    return WorkPlan(configuration or sweeps.configuration(), among, sets or moods("calm"), windows)


def parts(planned: WorkPlan) -> list[tuple[str, str, int]]:
    return [(each.part.recording, each.part.symbol, len(each.part.sources)) for each in planned.of(planned.sets[0])]


def basket() -> Configuration:
    pool = {
        "kinds": ["trade"],
        "key": "all",
        "symbols": ["BNBUSDT", "BTCUSDT", "ETHUSDT"],
        "strategies": {"market_dominance": {}},
    }
    return check({"paper": {}, "pools": {"basket": pool}}, "the test")


def test_there_is_a_part_for_each_recording_and_symbol(tmp_path: Path):
    two = [*sweeps.prices(5), *sweeps.prices(5, symbol="ETHUSDT")]
    planned = plan(datasets(tmp_path, received(two), received(sweeps.prices(5), later_s=60)))
    assert parts(planned) == [("0.jsonl", "BTCUSDT", 1), ("1.jsonl", "BTCUSDT", 1), ("0.jsonl", "ETHUSDT", 1)]
    assert all(each.part.cuts == EVER for each in planned.units())


def test_recordings_of_the_same_time_are_one_part(tmp_path: Path):
    planned = plan(datasets(tmp_path, received(sweeps.prices(5)), received(sweeps.prices(5), later_s=2)))
    assert parts(planned) == [("0.jsonl + 1.jsonl", "BTCUSDT", 2)]


def test_windows_go_over_all_recordings(tmp_path: Path):
    made = datasets(tmp_path, received(sweeps.prices(5)), received(sweeps.prices(5), later_s=60))
    window = Window(TIME_MS, TIME_MS + 30_000, TIME_MS + 70_000)
    (each,) = plan(made, windows=[window]).units()
    assert (each.part.cuts, len(each.part.sources)) == (tuple(window), 2)
    assert work_plan.span(made) == (TIME_MS + 1_000, TIME_MS + 65_000)


def test_a_pool_of_all_symbols_is_one_part(tmp_path: Path):
    events = [each for symbol in ("BTCUSDT", "ETHUSDT", "XRPUSDT") for each in sweeps.prices(5, symbol=symbol)]
    planned = plan(datasets(tmp_path, received(events)), [ParameterSet("market_dominance", {})], configuration=basket())
    assert parts(planned) == [("0.jsonl", "BTCUSDT ETHUSDT", 2)]


def test_recordings_without_what_the_strategy_takes_are_refused(tmp_path: Path):
    depth = check({"pools": {"depth": {"kinds": ["depth"], "strategies": {"orderbook_skew": {}}}}}, "the test")
    with pytest.raises(RecordingError, match="no recording has events that orderbook_skew takes"):
        plan(datasets(tmp_path, sweeps.prices(5)), [ParameterSet("orderbook_skew", {})], configuration=depth)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"gate": {"off": True}}, "is switched off in pool trade"),
        ({"gate": {"killed": True}}, "is killed in pool trade"),
        ({"paper": {"enabled": False}}, r"has no paper account \(paper.enabled = false\)"),
    ],
)
def test_what_would_have_no_figures_is_refused(tmp_path: Path, table: dict[str, Any], why: str):
    with pytest.raises(SettingsError, match=why):
        plan(datasets(tmp_path, sweeps.prices(5)), configuration=sweeps.configuration(**table))


def blocks(directory: Path, sets: int, processes: int) -> list[Block]:
    planned = plan(
        datasets(directory, sweeps.prices(5)), [ParameterSet(MOODS, {"every": each + 1}) for each in range(sets)]
    )
    return planned.blocks({}, processes)


@pytest.mark.parametrize(
    ("sets", "processes", "sizes"),
    [(3, 8, [3]), (100, 1, [25] * 4), (100, 4, [7] * 14 + [2]), (1_000, 1, [MOST_UNITS] * 25), (100, 1_000, [5] * 20)],
)
def test_blocks_spread_over_the_processes_and_share_the_reading(
    tmp_path: Path, sets: int, processes: int, sizes: list[int]
):
    made = blocks(tmp_path, sets, processes)
    assert [len(block.units) for block in made] == sizes
    assert len({unit.id for block in made for unit in block.units}) == sets


def test_the_first_sets_come_to_their_end_first(tmp_path: Path):
    two = [*sweeps.prices(5), *sweeps.prices(5, symbol="ETHUSDT")]
    sets = [ParameterSet(MOODS, {"every": each + 1}) for each in range(2 * MOST_UNITS)]
    made = plan(datasets(tmp_path, two), sets).blocks({}, 1)
    assert [block.units[0].parameters["every"] for block in made] == [1, 1, 41, 41]


def test_what_is_done_is_in_no_block(tmp_path: Path):
    planned = plan(datasets(tmp_path, sweeps.prices(5)), moods("calm", "raise"))
    done, left = planned.units()
    (block,) = planned.blocks({done.unit.id: None}, 1)
    assert block.units == (left.unit,)
    assert planned.work(block) == 5
    assert planned.set_of(left.unit.id).parameters == {"mood": "raise"}


def test_an_id_says_all_that_the_result_depends_on(tmp_path: Path):
    made = datasets(tmp_path, received(sweeps.prices(5)))
    (one,) = plan(made).units()
    (other_parameters,) = plan(made, moods("raise")).units()
    (other_file,) = plan(made, configuration=sweeps.configuration(every=7)).units()
    (other_window,) = plan(made, windows=[Window(TIME_MS, TIME_MS + 1, TIME_MS + 9_000)]).units()
    (other_events,) = plan(datasets(tmp_path, received(sweeps.prices(6)))).units()
    ids = {each.unit.id for each in (one, other_parameters, other_file, other_window, other_events)}
    assert len(ids) == 5
    (same,) = plan(made).units()
    assert same.unit.id == one.unit.id
