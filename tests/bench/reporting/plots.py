"""The results as one HTML page of plots that opens without a network."""

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

from plotly import graph_objects, io, subplots

from tasks.backtest import html_document
from tasks.backtest.charts import AXIS, LAYOUT
from tests.bench.reporting.table import Rows, about, sections
from tests.bench.results import Report
from tests.bench.runs import RunUsage

_COLOURS = ("#636efa", "#ef553b")
#: As of the backtest's charts, but for their axes: here these are numbers.
_LAYOUT = {name: value for name, value in LAYOUT.items() if name not in {"xaxis", "yaxis"}}
_OF_A_RUN: dict[str, Callable[[RunUsage], float]] = {
    "events/s": lambda run: run.events_per_s,
    "CPU us an event": lambda run: sum(run.cpu_us.values()),
    "memory MiB": lambda run: sum(run.resident_mib.values()),
}


def write(path: Path, report: Report) -> None:
    """Write the page; raises OSError."""
    path.write_text(html(report), encoding="utf-8")


def html(report: Report) -> str:
    """Return the page."""
    tables = "".join(_table(title, rows) for title, rows in sections(report))
    plots = "".join(_plot(figure) for figure in figures(report))
    body = f'<main><h1>Benchmark</h1><p class="dim">{escape(about(report))}</p>{tables}{plots}</main>'
    return html_document.document(html_document.plotly(), "Benchmark", body)


def _table(title: str, rows: Rows) -> str:
    name = escape(title)
    heads, *others = ([escape(cell) for cell in row] for row in rows)
    head = "".join(f'<th scope="col">{cell}</th>' if cell else "<td></td>" for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in others
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h2>{name}</h2><div class="scroll" tabindex="0" role="region" aria-label="{name}">{table}</div>'


def _plot(figure: graph_objects.Figure) -> str:
    """Return a chart under its title, which stands in the page, so that it wraps on a phone."""
    title = escape(figure.layout.title.text)
    figure.update_layout({**_LAYOUT, "title": None, "margin": {"l": 60, "r": 10, "t": 40, "b": 70}, "legend.y": -0.2})
    figure.update_xaxes(AXIS)
    figure.update_yaxes(AXIS)
    drawn = io.to_html(figure, config=html_document.CONFIG, full_html=False, include_plotlyjs=False)
    area = f'<div class="scroll" tabindex="0" role="region" aria-label="Chart: {title}">'
    return f'<h2>{title}</h2>{area}<div class="chart wide">{drawn}</div></div>'


def figures(report: Report) -> Iterator[graph_objects.Figure]:
    """Yield a figure for each thing that was measured."""
    if report.rounds:
        yield _throughput(report)
    if report.latency:
        yield _latency(report)
    if report.cost:
        yield _cost(report)
    for what in dict.fromkeys(point.what for point in report.points):
        yield _points(report, what)
    if report.memory:
        yield _memory(report)


def _figure(title: str, x: str, y: str) -> graph_objects.Figure:
    return graph_objects.Figure(layout={"title": title, "xaxis_title": x, "yaxis_title": y})


def _throughput(report: Report) -> graph_objects.Figure:
    figure = _figure("Throughput, each round", "", "events/s")
    figure.update_yaxes(type="log")
    for number in sorted({each.round for each in report.rounds}):
        own = [each for each in report.rounds if each.round == number]
        figure.add_bar(x=[e.contender for e in own], y=[e.run.events_per_s for e in own], name=f"round {number}")
    return figure


def _latency(report: Report) -> graph_objects.Figure:
    figure = _figure("Latency from receipt to commit", "events/s", "ms")
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    rates = [each.rate for each in report.latency]
    for name in ("p50_ms", "p99_ms"):
        figure.add_scatter(x=rates, y=[getattr(each, name) for each in report.latency], name=name[:3])
    return figure


def _cost(report: Report) -> graph_objects.Figure:
    assert report.cost is not None
    figure = _figure("CPU of an event, by stage", "", "us")
    figure.add_bar(x=list(report.cost.stages_us), y=list(report.cost.stages_us.values()))
    return figure


def _points(report: Report, what: str) -> graph_objects.Figure:
    figure = subplots.make_subplots(1, len(_OF_A_RUN), subplot_titles=list(_OF_A_RUN))
    own = [point for point in report.points if point.what == what]
    figure.update_layout(title=f"By {what}")
    figure.update_xaxes(title=what, type="log" if min(point.value for point in own) > 0 else "linear")
    figure.update_yaxes(rangemode="tozero")
    for colour, contender in zip(_COLOURS, dict.fromkeys(point.contender for point in own), strict=False):
        # What was measured in several rounds stands one above the other.
        points = sorted((point for point in own if point.contender == contender), key=lambda point: point.value)
        for column, value in enumerate(_OF_A_RUN.values(), start=1):
            values = [value(point.run) for point in points]
            figure.add_scatter(
                x=[point.value for point in points],
                y=values,
                name=contender,
                line_color=colour,
                showlegend=column == 1,
                row=1,
                col=column,
            )
    return figure


def _memory(report: Report) -> graph_objects.Figure:
    assert report.memory is not None
    figure = _figure("Resident memory", "s", "MiB")
    for name, mib in report.memory.resident_mib.items():
        figure.add_scatter(x=report.memory.seconds, y=mib, name=name)
    return figure
