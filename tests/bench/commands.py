"""The command line behind `./run bench`."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import msgspec
import typer

from tasks.cli import command_line
from tasks.errors import UNREADABLE, RealtimeStrategiesError
from tests.bench import account, api, latencies, pipelines, shards, throughput, varied
from tests.bench.backtests import earlier, one_strategy
from tests.bench.latencies import LatencyPlan
from tests.bench.mix import Mix
from tests.bench.noise import RoundRatio, most
from tests.bench.reporting import plots, table
from tests.bench.results import USUAL_PER_S, BacktestRun, Report, machine
from tests.bench.systems import RIVALS

app = command_line.top(rich_markup_mode=None)
console = command_line.Console(stderr=True)
T = TypeVar("T")

_NO_REPORT: tuple[type[Exception], ...] = (OSError, *UNREADABLE)
PARTS = (
    "throughput", "latency", "account", "api", "shards", "backtest", "cost", "scale", "delay", "growth", "memory",
)  # fmt: skip


class Form(NamedTuple):
    """How much is measured."""

    parts: tuple[str, ...]
    contenders: tuple[str, ...]
    rounds: int
    #: About how long each run takes.
    seconds: float
    rates: tuple[float, ...]
    is_quick: bool = False


#: How long the latency is measured in the quick form, and each window.
QUICK_S, QUICK_WINDOW_S = 4.0, 1.0
#: In the long form: the start, and each window.
START_S, WINDOW_S = 60.0, 5.0
#: Events before the latency is measured: a quarter of those in the start's minute, and as many.
QUICK_WARM_UP, WARM_UP = 30_000, round(START_S * USUAL_PER_S)
#: They are short, and the ratio is that of two of them.
QUICK_ACCOUNT_ROUNDS, ACCOUNT_ROUNDS = 3, 5
#: Each is a run without the API and one with it.
API_ROUNDS = 5
BACKTEST_ROUNDS = 5
SHARD_ROUNDS = 5
#: How many workers in each round of the scale.
SCALE_ROUNDS = ((1, 2, 4, 8),) * 3
#: In runs of a second, our throughput over the bare loop's was a tenth lower than in runs of four.
QUICK = Form(("throughput", "latency", "account"), throughput.QUICK, 1, 1.75, (USUAL_PER_S,), is_quick=True)
LONG = Form(PARTS, (throughput.OURS, *RIVALS), 5, 10.0, (100.0, USUAL_PER_S, 10_000.0))


@app.callback()
def _main() -> None:
    """Compare this project with alternatives, on this machine."""


@app.command("bench")
def _bench(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Throughput, latency and the paper account only, in less than a minute.")
    ] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(PARTS)}; repeatable.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of throughput and latency.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.5, help="About how long each run takes.")] = None,
    memory_s: Annotated[float, typer.Option(min=10, help="How long memory is watched.")] = 3600,
    memory_from: Annotated[
        Path | None, typer.Option(exists=True, help="Take memory from the --json of an earlier run instead.")
    ] = None,
    checkout: Annotated[
        Path | None,
        typer.Option("--earlier", exists=True, help="Checkout of earlier code, whose backtest is measured as well."),
    ] = None,
    as_json: Annotated[str, typer.Option("--json", help="File for all figures; - for standard output.")] = "",
    html: Annotated[Path | None, typer.Option(help="File for plots.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for the tables, for the documentation.")] = None,
) -> None:
    """Measure; print tables with the targets beside the figures. The long form watches memory for an hour, at the end.

    Everything runs on free ports of 127.0.0.1 and is gone at the end. Close other programs first.
    """
    form = _form(quick, only or [], rounds, seconds)
    report = Report(machine(), quick, f"rounds: {form.rounds}, of {form.seconds:g} s")
    if memory_from:
        form = form._replace(parts=tuple(part for part in form.parts if part != "memory"))
        before = read(memory_from)
        report.memory, report.memory_of = before.memory, before.memory_of or table.about(before)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _measure(report, form, memory_s, Path(folder))
            if checkout:
                report.earlier = list(_told(_beside(checkout, Path(folder))))
    except RealtimeStrategiesError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    _show(report, command_line.Console(stderr=as_json == "-"))
    _write(report, as_json, html, markdown)


def _form(quick: bool, only: list[str], rounds: int | None, seconds: float | None) -> Form:  # noqa: FBT001 an option
    form = QUICK if quick else LONG
    if unknown := [part for part in only if part not in PARTS]:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(PARTS)}", param_hint="--only")
    return form._replace(parts=tuple(only or form.parts), rounds=rounds or form.rounds, seconds=seconds or form.seconds)


def _beside(checkout: Path, folder: Path) -> Iterator[BacktestRun]:
    return earlier.compare(Mix(), folder, earlier.Plan(checkout, BACKTEST_ROUNDS), _say)


def _show(report: Report, console: command_line.Console) -> None:
    # Narrower, the tables could not be read.
    console.width = max(console.width, 110)
    table.show(report, console)


def read(file: Path) -> Report:
    """Return what `--json` wrote. Raises typer.BadParameter: it is something else."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except _NO_REPORT as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="--memory-from") from None


def _measure(report: Report, form: Form, memory_s: float, folder: Path) -> None:
    mix = Mix()
    size = round(throughput.SIZES[throughput.OURS] * form.seconds)
    if "throughput" in form.parts:
        plan = throughput.Plan(form.contenders, form.rounds, form.seconds)
        report.rounds = throughput.measure(plan, mix, _say)
        report.spreads = throughput.ratios(report.rounds)
        report.ratios = {name: ratio.median for name, ratio in report.spreads.items()}
        report.cpu_us = throughput.cpu_us(report.rounds)
        report.cpu_ratios = throughput.ratios(report.rounds, lambda run: run.event_us)
    if "latency" in form.parts:
        found = latencies.measure(_latency_plan(form), mix, _say)
        report.latency, report.latency_at_start = found.warm, found.start
        report.oversubscribed, report.oversubscribed_p99 = found.oversubscribed, found.oversubscribed_p99
    if "account" in form.parts:
        rounds = QUICK_ACCOUNT_ROUNDS if form.is_quick else ACCOUNT_ROUNDS
        report.account = _ratios(report, "account", account.ratios(mix, rounds, _say))
    if "api" in form.parts:
        report.api = _ratios(report, "api", api.ratios(mix, size, API_ROUNDS, _say))
    if "shards" in form.parts:
        report.shard = _ratios(report, "shard", shards.ratios(mix, folder, form.seconds, SHARD_ROUNDS, _say))
        report.points += _told(shards.one_after_the_other(mix, folder, form.seconds, _say))
    if "backtest" in form.parts:
        report.backtests = list(_told(one_strategy.compare(folder, BACKTEST_ROUNDS, _say)))
    if "cost" in form.parts:
        report.cost = pipelines.cost(mix, size)
    _vary(report, form, mix, folder, size)
    if "memory" in form.parts:
        report.memory = pipelines.memory(memory_s)


def _latency_plan(form: Form) -> LatencyPlan:
    if form.is_quick:
        return LatencyPlan(
            form.rates,
            form.rounds,
            QUICK_S,
            QUICK_WINDOW_S,
            warm_up=QUICK_WARM_UP,
            most_windows=3,
            oversubscribed=False,
        )
    return LatencyPlan(form.rates, form.rounds, 3 * form.seconds, WINDOW_S, START_S, WARM_UP)


def _ratios(report: Report, what: str, found: Iterable[RoundRatio]) -> list[float]:
    """Return the ratios, and note what others took meanwhile."""
    rounds = list(found)
    report.noise[what] = most(each.noise for each in rounds)
    return [each.ratio for each in rounds]


def _vary(report: Report, form: Form, mix: Mix, folder: Path, size: int) -> None:
    if "scale" in form.parts:
        for workers in SCALE_ROUNDS:
            report.points += _told(varied.busy_workers(mix, folder, workers, size // 5))
        for workers in SCALE_ROUNDS:
            report.points += _told(varied.waiting_workers(mix, folder, workers, form.seconds))
    if "delay" in form.parts:
        slow = round(throughput.SIZES["celery"] * form.seconds)
        report.points += _told(pipelines.delayed(mix, size, slow, delay_ms=2.0))
    if "growth" in form.parts:
        report.points += _told(varied.growth(mix, folder, size))


def _told(found: Iterable[T]) -> Iterator[T]:
    for each in found:
        _say(str(each))
        yield each


def _say(text: str) -> None:
    console.print(text, style="dim", markup=False, soft_wrap=True)


def _write(report: Report, as_json: str, html: Path | None, markdown: Path | None) -> None:
    packed = msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
    try:
        if as_json == "-":
            os.write(sys.stdout.fileno(), packed)
        elif as_json:
            Path(as_json).write_bytes(packed)
        if markdown:
            markdown.write_text(table.markdown(report), encoding="utf-8")
        if html:
            plots.write(html, report)
    except OSError as error:
        console.print(f"error: can't write {error.filename}: {error.strerror}", markup=False)
        raise typer.Exit(1) from None
