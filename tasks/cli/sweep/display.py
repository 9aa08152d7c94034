"""What a sweep prints: the best sets of each strategy, what walk-forward came to, JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.text import Text

from tasks.cli import command_line
from tasks.protocol.utc_time import utc
from tasks.sweep import figures
from tasks.sweep.figures import SweepRow
from tasks.sweep.results import PartRow
from tasks.sweep.walk_forward import WalkForward, WindowChoice

#: Rows of a strategy that are shown.
SHOWN = 10
IN_SAMPLE = "in-sample: chosen on the same events that they were tried on"


class SweepReport(msgspec.Struct):
    """What `--json` prints."""

    objective: str
    #: "in-sample", or "test windows" of walk-forward.
    sample: str
    rows: list[SweepRow]
    #: How many sets were not finished.
    unfinished: int = 0
    parts: list[PartRow] | None = None
    walk_forward: WalkForward | None = None


def ranked(rows: Iterable[SweepRow], objective: str) -> list[SweepRow]:
    """Return rows that did not fail, the best first; without a value the objective is below everything."""
    return sorted(
        (row for row in rows if not row.error),
        key=lambda row: figures.merit(figures.value(row, objective), objective),
        reverse=True,
    )


def words(parameters: dict[str, Any]) -> str:
    """Return parameters as `--set` takes them: levels=5 gate.min_confidence=0.7."""
    return " ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in parameters.items())


def number(value: float | None) -> str:
    """Return a figure for a table."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,.4f}" if abs(value) < 100 else f"{value:,.2f}"
    return "0" if not text.strip("-0.,") else text


def show(out: command_line.Console, report: SweepReport) -> None:
    """Print the best sets of each strategy, and walk-forward if there was one."""
    if report.walk_forward is not None:
        _show_walk_forward(out, report.walk_forward)
        shown = {row.strategy for row in report.walk_forward.rows}
        for strategy in dict.fromkeys(row.strategy for row in report.rows if row.strategy not in shown):
            out.print(
                f"\n{strategy}: no walk-forward, as in some window every set failed", style="bold", soft_wrap=True
            )
    else:
        for strategy in dict.fromkeys(row.strategy for row in report.rows):
            _show_strategy(out, strategy, [row for row in report.rows if row.strategy == strategy], report.objective)
    failed = [row for row in report.rows if row.error]
    if failed:
        out.print(f"\n{len(failed)} of {len(report.rows)} sets failed; the first:", style="bold", soft_wrap=True)
        out.print(f"{failed[0].strategy} {words(failed[0].parameters)}: {_last_line(failed[0].error)}", soft_wrap=True)
    if report.unfinished:
        out.print(f"\n{report.unfinished:,} sets are not finished", style="bold", soft_wrap=True)


def _show_strategy(out: command_line.Console, strategy: str, rows: Sequence[SweepRow], objective: str) -> None:
    best = ranked(rows, objective)
    if not best:
        out.print(f"\n{strategy}: every set failed", style="bold", soft_wrap=True)
        return
    out.print(f"\n{strategy}: the best {min(SHOWN, len(best))} of {len(rows):,} sets by {objective}", style="bold")
    out.print(IN_SAMPLE, style="dim", soft_wrap=True)
    columns = list(dict.fromkeys((objective, "profit", "positions", "hit_rate", "max_drawdown", "signals")))
    table = command_line.table(*columns, "parameters")
    for column in table.columns[:-1]:
        column.justify = "right"
    for row in best[:SHOWN]:
        table.add_row(*(number(getattr(row, name)) for name in columns), Text(words(row.parameters)))
    command_line.print_table(out, table)


def _last_line(error: str | None) -> str:
    return (error or "").strip().splitlines()[-1]


def _show_walk_forward(out: command_line.Console, result: WalkForward) -> None:
    for row in result.rows:
        choices = [each for each in result.windows if each.strategy == row.strategy]
        below = result.below_median[row.strategy]
        out.print(
            f"\n{row.strategy}: walk-forward over {len(choices)} windows, chosen by {result.objective}", style="bold"
        )
        out.print(
            f"out of sample: profit {number(row.profit)}, {row.positions:,} positions, drawdown {number(row.max_drawdown)}; "
            f"the in-sample best was worse than the out-of-sample median in {below} of {len(choices)} windows",
            soft_wrap=True,
        )
        _show_choices(out, choices)


def _show_choices(out: command_line.Console, choices: Iterable[WindowChoice]) -> None:
    table = command_line.table("test window (UTC)", "in-sample", "out of sample", "median", "rank", "chosen")
    for column in table.columns[1:5]:
        column.justify = "right"
    for each in choices:
        values = map(number, (each.in_sample, each.out_of_sample, each.median))
        window = f"{utc(each.test_from_ms)} to {utc(each.test_to_ms)[11:]}"
        table.add_row(window, *values, f"{each.rank} of {each.sets}", Text(words(each.parameters)))
    command_line.print_table(out, table)
