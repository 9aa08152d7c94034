"""The results for people: a table on the terminal, the same as Markdown for the documentation."""

import statistics
from collections.abc import Iterator, Sequence

from rich.table import Table

from tasks.cli.command_line import Console
from tests.bench import targets
from tests.bench.results import Report

Rows = Sequence[Sequence[str]]
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
    if report.latencies:
        head = ("events/s offered", "events/s processed", "p50 ms", "p99 ms")
        rows = [
            (number(e.wanted_per_s), number(e.events_per_s), number(e.p50_ms), number(e.p99_ms))
            for e in report.latencies
        ]
        yield "Latency from receipt to commit", [head, *rows]
    if report.cost:
        yield "Cost of an event", _cost(report)
    if report.points:
        yield "Scaling: one parameter varied; CPU time for each event, state bytes of a symbol", _points(report)


def _target(target: targets.Target) -> tuple[str, ...]:
    spread = " to ".join(map(number, target.spread)) if target.spread else ""
    return target.what, number(target.measured), spread, f"{target.sign} {target.target:g}", _MET[target.met]


def _throughput(report: Report) -> Rows:
    head = ("", "events/s", "spread", "CPU us", "MiB", "commands", "applied", "digest")
    rows = [head]
    for name in dict.fromkeys(each.contender for each in report.rounds):
        own = sorted((each for each in report.rounds if each.contender == name), key=lambda each: each.run.events_per_s)
        middle = own[len(own) // 2]
        run = middle.run
        rows.append(
            (
                name,
                number(statistics.median(each.run.events_per_s for each in own)),
                f"{number(own[0].run.events_per_s)} to {number(own[-1].run.events_per_s)}",
                number(sum(run.cpu_us.values())),
                number(sum(run.resident_mib.values())),
                number(run.redis.commands / run.events),
                f"{min(each.applied for each in own):.2%}",
                "equal" if all(each.same_digest for each in own) else "differs",
            )
        )
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
    ]


def _points(report: Report) -> Rows:
    head = ("", "", "events/s", "CPU us", "MiB", "state bytes")
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
        f"{where.cpus} x {where.model}, Python {where.python}; load average before: {where.load_average}; "
        f"{'quick form' if report.quick else 'long form'}"
    )


def markdown(report: Report) -> str:
    """Return all tables as Markdown."""
    text = f"{about(report)}\n"
    for title, rows in sections(report):
        lines = [" | ".join(cell.replace("|", "/") for cell in row) for row in rows]
        text += f"\n## {title}\n\n| {lines[0]} |\n|{'---|' * len(rows[0])}\n"
        text += "".join(f"| {line} |\n" for line in lines[1:])
    return text
