"""From the results of units to rows."""

from pathlib import Path

from tasks.sweep import results
from tasks.sweep.figures import Figures, UnitResult
from tasks.sweep.walk_forward import Window
from tasks.sweep.work_plan import WorkPlan
from tests.support.events import TIME_MS
from tests.support.files import sweeps

WINDOWS = [
    Window(TIME_MS, TIME_MS + 20_000, TIME_MS + 40_000),
    Window(TIME_MS + 20_000, TIME_MS + 40_000, TIME_MS + 60_000),
]


def plan(directory: Path) -> WorkPlan:
    """Two symbols in two windows."""
    events = [event for symbol in ("BTCUSDT", "ETHUSDT") for event in sweeps.prices(symbol=symbol)]
    return WorkPlan(sweeps.configuration(), [sweeps.dataset(directory, events)], sweeps.moods("calm"), WINDOWS)


def test_a_part_has_one_row_over_all_windows(tmp_path: Path):
    planned = plan(tmp_path)
    found = {each.unit.id: UnitResult([Figures(pnl=9.0), Figures(pnl=1.0)]) for each in planned.units()}
    rows = results.part_rows(planned, found)
    assert [(row.recording, row.symbol, row.pnl) for row in rows] == [
        ("trades.jsonl", "BTCUSDT", 2.0),
        ("trades.jsonl", "ETHUSDT", 2.0),
    ]


def test_a_part_of_which_a_window_is_missing_has_no_row(tmp_path: Path):
    planned = plan(tmp_path)
    _, *others = planned.units()
    found = {each.unit.id: UnitResult([Figures(), Figures(pnl=1.0)]) for each in others}
    assert len(results.part_rows(planned, found)) == 1
