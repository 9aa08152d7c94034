"""The content of a sweep's page, from its report."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tasks.cli.sweep.display import SweepReport
from tasks.sweep import walk_forward
from tasks.sweep.figures import COSTS
from tasks.sweep.page import SweepPage, WalkForwardPage, WalkForwardWindow
from tasks.sweep.walk_forward import WalkForward


def of_report(report: SweepReport, paths: Sequence[Path]) -> SweepPage:
    """Return what the page shows."""
    names = [path.name for path in paths]
    notes = [f"{report.unfinished:,} sets are not finished."] if report.unfinished else []
    if report.sample != "in-sample":
        notes.append("Figures of sets are those of the test windows, all of them together.")
    return SweepPage(
        title=f"Sweep over {', '.join(names)}",
        files=names,
        objective=report.objective,
        rows=[msgspec.to_builtins(row) for row in report.rows],
        walk_forward=_walk_forward(report.walk_forward) if report.walk_forward else None,
        notes=notes,
        is_lowest_best=report.objective in COSTS,
    )


def _walk_forward(result: WalkForward) -> WalkForwardPage:
    windows = [
        WalkForwardWindow(
            each.strategy,
            each.train_from_ms,
            each.test_from_ms,
            each.test_to_ms,
            each.parameters,
            each.in_sample,
            each.out_of_sample,
            each.median,
            each.rank,
            each.sets,
            is_below=walk_forward.is_worse(each, result.objective),
        )
        for each in result.windows
    ]
    count = {name: sum(each.strategy == name for each in windows) for name in result.below_median}
    below = {name: (times, count[name]) for name, times in result.below_median.items()}
    return WalkForwardPage(windows, below, result.equity)
