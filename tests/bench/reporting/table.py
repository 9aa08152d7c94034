"""The results for people: a table on the terminal, the same as Markdown for the documentation."""

import statistics
from collections.abc import Iterator, Sequence

from rich.table import Table

from tasks.cli.command_line import Console
from tests.bench.noise import Noise
from tests.bench.reporting import targets
from tests.bench.results import BacktestRun, ContenderRun, Latency, Report

Rows = Sequence[Sequence[str]]
_BUILD = {True: " (an optimised build)", False: " (a build that is not optimised)", None: ""}
_MET = {True: "met", False: "NOT met", None: "not measured"}


def number(value: float | None) -> str:
    """Write a number with as many digits as mean something."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def sections(report: Report) -> Iterator[tuple[str, Rows]]:
    """Yield each table: its title, and rows of which the first is the head."""
    yield "Targets", [("", "measured", "spread", "target", ""), *map(_target, targets.of(report))]
    if report.rounds:
        yield "Throughput; CPU time of all processes and Redis commands for each event", _throughput(report)
        yield "CPU us of an event by process, in the round whose throughput is in the middle", _processes(report)
    if report.latency:
        yield "Latency from receipt to commit, once warm and from the start on", _latency(report)
        yield "CPU us of an event by process, while latency was measured", _latency_processes(report)
    if report.noise:
        yield "Ratios of ingest and of the engine", _ratios(report)
    if report.backtests:
        yield "Backtest of one strategy over one symbol's trades", _backtests(report.backtests)
    if report.earlier:
        yield "Backtest of the shipped strategies, beside earlier code", _backtests(report.earlier)
    if report.cost:
        yield "Cost of an event", _cost(report)
    if report.points:
        yield "Scaling: one parameter varied; CPU time for each event, state bytes of a symbol", _points(report)


def _target(target: targets.Target) -> tuple[str, ...]:
    spread = " to ".join(map(number, target.spread)) if target.spread else ""
    return target.what, number(target.measured), spread, f"{target.sign} {target.target:g}", _MET[target.met]


def _latencies(report: Report) -> list[tuple[str, Latency]]:
    start = [report.latency_at_start] if report.latency_at_start else []
    warm = {True: "once warm", False: "before two windows were alike"}
    return [
        *((warm[each.is_settled], each) for each in report.latency),
        *(("from the start on", each) for each in start),
    ]


def _latency(report: Report) -> Rows:
    windows = "p99 of its windows, median and worst"
    return [
        ("events/s offered", "", "events/s processed", "p50 ms", "p99 ms", windows, "CPU us", "by others"),
        *(
            (
                number(each.rate),
                when,
                number(each.events_per_s),
                number(each.p50_ms),
                number(each.p99_ms),
                _windows(each.windows_p99_ms),
                number(each.event_us),
                _by_others([each.noise]),
            )
            for when, each in _latencies(report)
        ),
    ]


def _windows(p99_ms: Sequence[float]) -> str:
    return f"{number(statistics.median(p99_ms))}, {number(max(p99_ms))}" if p99_ms else "-"


def _latency_processes(report: Report) -> Rows:
    roles = list(dict.fromkeys(role for _, each in _latencies(report) for role in each.cpu_us))
    return [
        ("events/s offered", "", *roles),
        *(
            (number(each.rate), when, *(number(each.cpu_us.get(role)) for role in roles))
            for when, each in _latencies(report)
        ),
    ]


def _ratios(report: Report) -> Rows:
    ratios = {"account": report.account, "api": report.api, "shard": report.shard}
    return [
        ("", "ratio", "spread", "by others"),
        *(
            (what, number(statistics.median(found)), _spread(found), _by_others([report.noise.get(what)]))
            for what, found in ratios.items()
            if found
        ),
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{number(min(values))} to {number(max(values))}"


def _by_others(noises: Sequence[Noise | None]) -> str:
    """Return the most that others took of the machine."""
    known = [noise.total for noise in noises if noise]
    return f"{max(known):.1%}" if known else "-"


def _by_contender(report: Report) -> dict[str, list[ContenderRun]]:
    """Return the runs of each contender, the slowest first."""
    by_speed = sorted(report.rounds, key=lambda each: each.run.events_per_s)
    names = dict.fromkeys(each.contender for each in report.rounds)
    return {name: [each for each in by_speed if each.contender == name] for name in names}


def _processes(report: Report) -> Rows:
    middle = {name: own[len(own) // 2].run.cpu_us for name, own in _by_contender(report).items()}
    roles = list(dict.fromkeys(role for used_us in middle.values() for role in used_us))
    return [("", *roles), *((name, *(number(used_us.get(role)) for role in roles)) for name, used_us in middle.items())]


def _throughput(report: Report) -> Rows:
    head = ("", "events/s", "spread", "CPU us", "MiB", "commands", "applied", "digest", "by others")
    rows = [head]
    for name, own in _by_contender(report).items():
        run = own[len(own) // 2].run
        rows.append(
            (
                name,
                number(statistics.median(each.run.events_per_s for each in own)),
                f"{number(own[0].run.events_per_s)} to {number(own[-1].run.events_per_s)}",
                number(run.event_us),
                number(sum(run.resident_mib.values())),
                number(run.redis.commands / run.events),
                f"{min(each.applied for each in own):.2%}",
                "equal" if all(each.same_digest for each in own) else "differs",
                _by_others([each.run.noise for each in own]),
            )
        )
    return rows


def _backtests(runs: Sequence[BacktestRun]) -> Rows:
    rows = [("", "CPU us an event", "spread", "signals", "by others")]
    for name in dict.fromkeys(each.contender for each in runs):
        own = [each for each in runs if each.contender == name]
        used_us = [each.event_us for each in own]
        others = _by_others([each.noise for each in own])
        rows.append((name, number(statistics.median(used_us)), _spread(used_us), number(own[0].signals), others))
    return rows


def _cost(report: Report) -> Rows:
    cost = report.cost
    assert cost is not None
    rows = [("", "an event"), *((f"{stage}, CPU us", number(us)) for stage, us in cost.stages_us.items())]
    rows += [("Redis commands", number(cost.redis_commands)), ("bytes to Redis", number(cost.redis_bytes_in))]
    return [
        *rows,
        ("bytes from Redis", number(cost.redis_bytes_out)),
        ("state bytes a symbol", number(cost.state_bytes_a_symbol)),
        ("taken by others", _by_others([cost.noise])),
    ]


def _points(report: Report) -> Rows:
    head = ("", "", "events/s", "CPU us", "MiB", "state bytes", "by others")
    return [
        head,
        *(
            (
                f"{point.contender}: {point.what}",
                number(point.value),
                number(point.run.events_per_s),
                number(sum(point.run.cpu_us.values())),
                number(sum(point.run.resident_mib.values())),
                number(point.state_bytes_a_symbol),
                _by_others([point.run.noise]),
            )
            for point in report.points
        ),
    ]


def show(report: Report, console: Console) -> None:
    """Print all tables."""
    for title, rows in sections(report):
        table = Table(title=title, title_justify="left")
        for place, head in enumerate(rows[0]):
            table.add_column(head, no_wrap=place > 0)
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
    console.print(about(report))


def about(report: Report) -> str:
    """Return where it was measured."""
    where = report.machine
    return (
        f"{f'{where.date}; ' if where.date else ''}{where.cpus} x {where.model}, Python {where.python}"
        f"{_BUILD[where.is_optimised]}; load average before: {where.load_average}; "
        f"{'quick form' if report.quick else 'long form'}{f', {report.form}' if report.form else ''}"
        f"{f'. Memory was measured earlier: {report.memory_of}' if report.memory_of else ''}"
    )


def markdown(report: Report) -> str:
    """Return all tables as Markdown."""
    text = f"{about(report)}\n"
    for title, rows in sections(report):
        lines = [" | ".join(cell.replace("|", "/") for cell in row) for row in rows]
        text += f"\n## {title}\n\n| {lines[0]} |\n|{'---|' * len(rows[0])}\n"
        text += "".join(f"| {line} |\n" for line in lines[1:])
    return text
