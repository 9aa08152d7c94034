"""The part of a sweep's page on a walk-forward: out-of-sample equity, and what was chosen in each window. Pure."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from tasks.backtest.charts import AXIS, LAYOUT, LEGEND
from tasks.backtest.html_table import Column, table
from tasks.backtest.paper_charts import EquityPoint, thinned_equity
from tasks.protocol.utc_time import utc
from tasks.sweep.page.columns import set_text
from tasks.sweep.page.content import WalkForwardPage, WalkForwardWindow

_SHADE = "rgba(128,136,144,0.13)"
OUT_OF_SAMPLE = '<span class="label out">out-of-sample</span>'


def section(
    found: WalkForwardPage,
    objective: str,
    form: Callable[[float], str],
    colours: Mapping[str, str],
    draw: Callable[[Mapping[str, Any], str], str],
) -> str:
    """Return the part; `form` writes an objective, `draw` makes a chart of a figure and its name."""
    chart = draw(equity_figure(found, colours), "Out-of-sample equity") if any(found.equity.values()) else ""
    shares = "".join(
        f"<li><b>{escape(strategy)}</b>: in-sample best below the out-of-sample median: {below} of {windows}</li>"
        for strategy, (below, windows) in found.below_median.items()
    )
    return f"""<h2>Walk-forward {OUT_OF_SAMPLE}</h2>
<p>On each train window the best set is chosen; the test window after it tells what the choice was worth.</p>
<ul class="shares">{shares}</ul>
<p class="dim">Choosing by chance would be below the median in half of the windows.</p>
<h3>Out-of-sample equity</h3>{chart}
<p class="dim">The profit of the choices, each on its test window only, added up. Times are UTC; every other test window
is shaded.</p>
<h3>Choices by window</h3>{table("Choices by window", found.windows, _columns(objective), form)}"""


def _columns(objective: str) -> list[Column[WalkForwardWindow]]:
    return [
        Column("strategy", lambda each: each.strategy, str, is_name=True),
        Column("train from", lambda each: utc(each.train_from_ms), str, is_name=True),
        Column("test from", lambda each: utc(each.train_to_ms), str, is_name=True),
        Column("test to", lambda each: utc(each.test_to_ms), str, is_name=True),
        Column("choice", lambda each: set_text(each.parameters), str, is_name=True, is_long=True),
        Column(f"in-sample {objective}", lambda each: each.in_sample),
        Column(f"out-of-sample {objective}", lambda each: each.out_of_sample, is_coloured=True),
        Column("out-of-sample median", lambda each: each.median),
        Column("choice against median", _against, str, is_name=True),
        Column("rank of choice", lambda each: each.rank, "{:,}".format),
        Column("of sets", lambda each: each.sets, "{:,}".format),
    ]


def _against(window: WalkForwardWindow) -> str | None:
    if window.is_below:
        return "worse"
    if window.out_of_sample is None or window.median is None:
        return None
    return "equal" if window.out_of_sample == window.median else "better"


def equity_figure(found: WalkForwardPage, colours: Mapping[str, str]) -> dict[str, Any]:
    """Return the chart: a line for each strategy, and every other test window shaded."""
    data = []
    for strategy, points in found.equity.items():
        kept = thinned_equity([EquityPoint(time_ms, profit, 0.0) for time_ms, profit in points])
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": escape(strategy),
                "x": [each.time_ms for each in kept],
                "y": [each.profit for each in kept],
                "line": {"color": colours[strategy], "width": 1.8, "shape": "hv"},
                "hovertemplate": f"<b>{escape(strategy)}</b> %{{y:,.4~f}} at %{{x|%Y-%m-%d %H:%M:%S}}<extra></extra>",
            }
        )
    spans = sorted({(each.train_to_ms, each.test_to_ms) for each in found.windows})
    layout = {
        **LAYOUT,
        "legend": LEGEND,
        "showlegend": True,
        "yaxis": {**LAYOUT["yaxis"], "zeroline": True, "zerolinecolor": AXIS["linecolor"], "title": {"text": "profit"}},
        "shapes": [_shade(*span) for span in spans[::2]],
    }
    return {"data": data, "layout": layout}


def _shade(from_ms: int, to_ms: int) -> dict[str, Any]:
    area = {"type": "rect", "xref": "x", "x0": from_ms, "x1": to_ms, "yref": "paper", "y0": 0, "y1": 1}
    return {**area, "layer": "below", "fillcolor": _SHADE, "line": {"width": 0}}
