"""A sweep's rows as the scripts of its page read them: each value of a parameter once, figures by column. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tasks.backtest.charts import AXIS, LAYOUT
from tasks.sweep.page.columns import FigureColumn, Row, figure, is_number, last_line, value_text
from tasks.sweep.page.content import SweepPage

#: As of the other charts, but for what depends on the chart.
_LAYOUT = {name: value for name, value in LAYOUT.items() if name not in {"xaxis", "yaxis", "legend"}}
_NOT_SET = -1


class ParameterValues(NamedTuple):
    """A parameter of a strategy: its values in order, each once."""

    name: str
    texts: Sequence[str]
    #: None: not all of them are numbers.
    numbers: Sequence[float] | None
    #: For each row of the strategy, which value it has.
    at: Sequence[int]


def script_data(page: SweepPage, columns: Sequence[FigureColumn], config: Mapping[str, Any]) -> str:
    """Return the data as JSON that can stand in a script element; `config` is of plotly's charts."""
    strategies = list(dict.fromkeys(row["strategy"] for row in page.rows))
    data = {
        "objective": page.objective,
        "lowest": page.is_lowest_best,
        "columns": [
            {**column._asdict(), "values": [figure(row, column.name) for row in page.rows]} for column in columns
        ],
        "strategies": [_strategy(name, page.rows) for name in strategies],
        "errors": [last_line(row["error"]) if row.get("error") else None for row in page.rows],
        "layout": _LAYOUT,
        "axis": AXIS,
        "config": config,
    }
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")


def _strategy(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    mine = [at for at, row in enumerate(rows) if row["strategy"] == name]
    names = dict.fromkeys(each for at in mine for each in rows[at]["parameters"])
    found = [parameter_values(each, [rows[at] for at in mine]) for each in names]
    return {"name": name, "rows": mine, "parameters": [each._asdict() for each in found]}


def parameter_values(name: str, rows: Sequence[Row]) -> ParameterValues:
    """Return a parameter's values over the rows of one strategy; -1 for a row that does not set it."""
    keys = [msgspec.json.encode(row["parameters"][name]) if name in row["parameters"] else None for row in rows]
    values = {key: row["parameters"][name] for key, row in zip(keys, rows, strict=True) if key is not None}
    is_numeric = all(map(is_number, values.values()))
    ordered = sorted(values, key=lambda key: (values[key] if is_numeric else 0, value_text(values[key])))
    places = {key: at for at, key in enumerate(ordered)}
    return ParameterValues(
        name,
        [value_text(values[key]) for key in ordered],
        [values[key] for key in ordered] if is_numeric else None,
        [_NOT_SET if key is None else places[key] for key in keys],
    )
