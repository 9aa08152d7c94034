"""From the results of units to rows and to walk-forward's result."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tasks.sweep import figures, walk_forward
from tasks.sweep.block import EVER, Part
from tasks.sweep.figures import Figures, SweepRow, UnitResult
from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.walk_forward import WalkForward, Window
from tasks.sweep.work_plan import PlannedUnit, WorkPlan


class PartRow(SweepRow, kw_only=True):
    """What a parameter set came to on one part."""

    recording: str
    venue: str
    symbol: str


def rows(plan: WorkPlan, results: Mapping[str, UnitResult]) -> list[SweepRow]:
    """Return a row for each set of which every unit is done, in the order of the sets.

    Of parts that are cut into windows, the last segment of each counts: the test windows.
    """
    return [row(each, units, results) for each in plan.sets if is_done(units := plan.of(each), results)]


def row(each: ParameterSet, units: Sequence[PlannedUnit], results: Mapping[str, UnitResult]) -> SweepRow:
    """Return the row of a set of which every unit is done."""
    return figures.row(each.strategy, each.parameters, *_merged([results[unit.unit.id] for unit in units]))


def is_done(units: Sequence[PlannedUnit], results: Mapping[str, UnitResult]) -> bool:
    """Whether there is a result of every unit."""
    return all(unit.unit.id in results for unit in units)


def part_rows(plan: WorkPlan, results: Mapping[str, UnitResult]) -> list[PartRow]:
    """Return a row for each set and part that is done, in the order of the sets; of windows, all of the part's together."""
    found = []
    for each in plan.sets:
        whole: dict[Part, list[PlannedUnit]] = {}
        for planned in plan.of(each):
            whole.setdefault(msgspec.structs.replace(planned.part, cuts=EVER), []).append(planned)
        for part, units in whole.items():
            if is_done(units, results):
                named: dict[str, Any] = {"recording": part.recording, "venue": part.venue, "symbol": part.symbol}
                found.append(PartRow(**msgspec.structs.asdict(row(each, units, results)), **named))
    return found


def _merged(parts: Sequence[UnitResult]) -> tuple[list[Figures], str | None]:
    """Return the figures of the last segments, and the first error."""
    error = next((each.error for each in parts if each.error), None)
    return [each.segments[-1] for each in parts if each.segments], error


def walked_forward(
    plan: WorkPlan, results: Mapping[str, UnitResult], windows: Sequence[Window], objective: str
) -> WalkForward:
    """Return what walk-forward comes to, once every unit is done."""
    by_strategy: dict[str, list[ParameterSet]] = {}
    for each in plan.sets:
        by_strategy.setdefault(each.strategy, []).append(each)

    def figures_of(each: ParameterSet, window: Window) -> tuple[Sequence[Sequence[Figures]], str]:
        there = [results[unit.unit.id] for unit in plan.of(each) if unit.part.cuts == tuple(window)]
        error = next((result.error for result in there if result.error), "")
        return [[result.segments[number] for result in there if result.segments] for number in (0, 1)], error

    return walk_forward.evaluate(by_strategy, windows, figures_of, objective)
