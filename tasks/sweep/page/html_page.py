"""A sweep's page: one HTML file with everything in it, which opens without a network."""

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from tasks.backtest import html_document
from tasks.backtest.charts import COLOURS
from tasks.backtest.html_table import Column, table
from tasks.backtest.paper_statistics import amount_decimals
from tasks.sweep.page import walk_forward
from tasks.sweep.page.columns import FigureColumn, Row, best, figure, figure_columns, last_line, set_text
from tasks.sweep.page.content import SweepPage, WalkForwardPage
from tasks.sweep.page.script_data import script_data

_HERE = Path(__file__)
_STYLE = _HERE.with_suffix(".css").read_text(encoding="utf-8")
_SCRIPT = "".join(_HERE.with_name(name).read_text(encoding="utf-8") for name in ("charts.js", "table.js"))
_IN_SAMPLE = '<span class="label">in-sample</span>'
#: Beside the objective, of the best sets.
_SHOWN = ("profit", "signals", "positions", "hit_rate", "max_drawdown", "sharpe")
#: Failures with different tracebacks.
_MAX_FAILURES = 200
_MAX_NAMED = 50


def write(path: Path, page: SweepPage) -> int:
    """Write the page; return its size in bytes. Raises SettingsError: no plotly, or the file can't be written."""
    return html_document.save(path, html(page))


def html(page: SweepPage) -> str:
    """Return the page. Raises SettingsError when plotly is not installed."""
    library = html_document.plotly()
    columns = figure_columns(page)
    body = f"""<main><h1>{escape(page.title)}</h1>{_head(page, columns)}
{_walk_forward(library, page) if page.walk_forward else ""}{_parameters()}{_all_sets(page)}{_failed(page)}</main>
<script type="application/json" id="sweep">{script_data(page, columns, html_document.CONFIG)}</script>"""
    return html_document.document(library, page.title, body, style=_STYLE, script=_SCRIPT)


def _by_strategy(page: SweepPage) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in page.rows:
        found[row["strategy"]].append(row)
    return dict(found)


def _head(page: SweepPage, columns: Sequence[FigureColumn]) -> str:
    failed = sum(1 for row in page.rows if row.get("error"))
    notes = "".join(f"<p>{escape(note)}</p>" for note in page.notes)
    if page.walk_forward:
        label = f"""What is marked {_IN_SAMPLE} was measured on the data on which sets were chosen. Only what is marked
{walk_forward.OUT_OF_SAMPLE} was measured on data that the choice had not seen."""
    else:
        label = f"""Chosen on the same data: {_IN_SAMPLE}. Every figure on this page was measured on the data on which the
best set was chosen; on other data expect less."""
    return f"""<dl class="facts"><dt>files</dt><dd>{escape(", ".join(page.files)) or "none"}</dd>
<dt>sets</dt><dd>{len(page.rows):,}, of them {failed:,} failed</dd>
<dt>objective</dt><dd>{escape(page.objective)}, the {"lowest" if page.is_lowest_best else "highest"} is best</dd></dl>
{notes}<p class="banner">{label}</p>
<h2>Best set of each strategy {_IN_SAMPLE}</h2>{_best(page, columns)}"""


def _best(page: SweepPage, columns: Sequence[FigureColumn]) -> str:
    found = [(name, rows, best(page, rows)) for name, rows in _by_strategy(page).items()]
    shown = [each for each in columns if each.name in (page.objective, *_SHOWN)]
    about: list[Column[Any]] = [
        Column("strategy", lambda each: each[0], str, is_name=True),
        Column(
            "best set",
            lambda each: set_text(each[2]["parameters"]) if each[2] else None,
            str,
            is_name=True,
            is_long=True,
        ),
        *(_figure(each) for each in shown),
        Column("sets", lambda each: len(each[1]), "{:,}".format),
        Column("failed", lambda each: sum(1 for row in each[1] if row.get("error")), "{:,}".format),
    ]
    return table("Best set of each strategy, in-sample", found, about, str)


def _figure(column: FigureColumn) -> Column[Any]:
    name = column.name
    return Column(
        name, lambda each: figure(each[2], name) if each[2] else None, column.text, is_coloured=column.is_signed
    )


def _walk_forward(library: Any, page: SweepPage) -> str:
    found = page.walk_forward or WalkForwardPage([], {}, {})
    names = dict.fromkeys([*_by_strategy(page), *found.equity])
    colours = {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(names)}
    values = [value for each in found.windows for value in (each.in_sample, each.out_of_sample, each.median) if value]
    form = FigureColumn(page.objective, amount_decimals(values), is_share=False, is_signed=False).text
    return walk_forward.section(
        found, page.objective, form, colours, lambda drawn, name: html_document.chart(library, drawn, name)
    )


def _parameters() -> str:
    def control(name: str, label: str) -> str:
        return f'<span><label for="{name}">{label}</label><select id="{name}"></select></span>'

    controls = [
        ("strategy", "strategy"),
        ("across", "across"),
        ("up", "up"),
        ("column", "figure"),
        ("others", "sets of a cell"),
    ]
    return f"""<h2>Parameters {_IN_SAMPLE}</h2>
<form class="controls" id="choices">{"".join(control(*each) for each in controls)}</form>
<div class="chart" id="map" role="group" aria-label="The figure by two parameters"></div>
<p class="dim" id="map-note" role="status"></p>
<div id="parallel-part"><h3>Parallel coordinates</h3>
<div class="scroll" tabindex="0" role="region" aria-label="Parallel coordinates"><div class="chart" id="parallel"></div></div>
<p class="dim" id="parallel-note">Each line is a set, in the colour of its figure. Drag along an axis to keep only the sets within
that range; drag the range to move it, or its ends to change it; click the axis beside it to lift it. Axes can be dragged
by their names into another order. The table below filters by keyboard.</p></div>"""


def _all_sets(page: SweepPage) -> str:
    label = "" if page.walk_forward else "<p>Chosen on the same data: in-sample.</p>"
    return f"""<h2>All sets {_IN_SAMPLE}</h2>{label}
<form class="controls" id="finding"><span class="long"><label for="filter">filter</label>
<input id="filter" type="search" autocomplete="off" spellcheck="false" aria-describedby="filter-help filter-error"></span></form>
<p class="dim" id="filter-help">Words find strategies, values and errors. With an operator they compare a column or a
parameter: <code>levels=5</code> <code>{escape(page.objective)}&gt;0</code> <code>hit_rate&gt;=50%</code>
<code>strategy!=iceberg</code>. All must hold. Text with spaces stands in quotes.</p>
<p class="down" id="filter-error" role="alert"></p>
<p id="shown" role="status"></p>
<div class="scroll bounded" tabindex="0" role="region" aria-label="All sets, in-sample"><table id="sets"><thead></thead>
<tbody></tbody></table></div><p><button type="button" id="more" hidden>Show more</button></p>"""


def _failed(page: SweepPage) -> str:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in page.rows:
        if row.get("error"):
            groups[row["strategy"], row["error"]].append(row)
    if not groups:
        return ""
    ordered = sorted(groups.items(), key=lambda each: -len(each[1]))
    listed = "".join(_failure(*name, rows) for name, rows in ordered[:_MAX_FAILURES])
    more = len(ordered) - _MAX_FAILURES
    left_out = (
        f"<p>{more:,} other tracebacks are left out; the table has the last line of each.</p>" if more > 0 else ""
    )
    return f"<h2>Failed sets</h2>{listed}{left_out}"


def _failure(strategy: str, traceback: str, rows: Sequence[Row]) -> str:
    count = f"{len(rows):,} sets" if len(rows) > 1 else "1 set"
    sets = "".join(f"<li>{escape(set_text(row['parameters']))}</li>" for row in rows[:_MAX_NAMED])
    more = f"<li>and {len(rows) - _MAX_NAMED:,} more</li>" if len(rows) > _MAX_NAMED else ""
    first = f": {escape(set_text(rows[0]['parameters']))}" if len(rows) == 1 else ""
    return f"""<details class="failure"><summary><b>{escape(strategy)}</b>, {count}{first}
<span class="down">{escape(last_line(traceback))}</span></summary>
<ul>{sets}{more}</ul><pre tabindex="0">{escape(traceback)}</pre></details>"""
