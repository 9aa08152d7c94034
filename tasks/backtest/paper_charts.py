"""The charts of what the paper accounts earned, as plotly reads them. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from tasks.backtest.charts import AXIS, LAYOUT, LEGEND, STEPS
from tasks.paper import ClosedPosition, PositionStatistics
from tasks.protocol.signed_number import signed

_UTC = "%{x|%H:%M:%S}"
#: Entry and exit of a position on the chart of its symbol.
_ENDS = ("circle", "x")
_ZERO = {"type": "line", "xref": "x", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1}


class EquityPoint(NamedTuple):
    """The profit of a strategy from a moment on, and how far it is below its peak."""

    time_ms: int
    profit: float
    fall: float


def equity(closed: Iterable[ClosedPosition], begin_ms: int, end_ms: int, unrealised: float) -> list[EquityPoint]:
    """Return the profit at the begin, at each closing, and at the end, there with what open positions would leave.

    The positions are given in the order of their closing.
    """
    statistics = PositionStatistics()
    points = [EquityPoint(begin_ms, 0.0, 0.0)]
    for each in closed:
        statistics.add(each)
        points.append(EquityPoint(each.closed_ms, statistics.pnl, statistics.fall()))
    points.append(EquityPoint(end_ms, statistics.pnl + unrealised, statistics.fall(unrealised)))
    return points


def equity_figure(curves: Mapping[str, Sequence[EquityPoint]], colours: Mapping[str, str]) -> dict[str, Any]:
    """Return the chart of the profits, and below it, on the same axis of time, of the drawdowns."""
    data = []
    for strategy, points in curves.items():
        line = {"color": colours[strategy], "width": 1.6, "shape": "hv"}
        about: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines",
            "name": escape(strategy),
            "legendgroup": strategy,
            "line": line,
        }
        kept = thinned_equity(points)
        about["x"] = [each.time_ms for each in kept]
        profits, falls = [each.profit for each in kept], [-each.fall for each in kept]
        data.append({**about, "y": profits, "hovertemplate": _hover(strategy, "profit")})
        below = {"y": falls, "hovertemplate": _hover(strategy, "drawdown"), "yaxis": "y2", "showlegend": False}
        data.append({**about, **below})
    axis = {**LAYOUT["yaxis"], "zeroline": True, "zerolinecolor": AXIS["linecolor"]}
    layout = {
        **LAYOUT,
        "legend": LEGEND,
        "xaxis": {**LAYOUT["xaxis"], "anchor": "y2"},
        "yaxis": {**axis, "domain": [0.4, 1], "title": {"text": "profit"}},
        "yaxis2": {**axis, "domain": [0, 0.32], "title": {"text": "drawdown"}},
    }
    return {"data": data, "layout": layout}


def thinned_equity(points: Sequence[EquityPoint], steps: int = STEPS) -> Sequence[EquityPoint]:
    """Return all points, or of each of `steps` equal parts the lowest, the highest, the deepest fall and the last."""
    if len(points) <= 4 * steps:
        return points
    size = math.ceil(len(points) / steps)
    kept: list[EquityPoint] = []
    for first in range(0, len(points), size):
        part = range(first, min(first + size, len(points)))
        profits, falls = (lambda at: points[at].profit), (lambda at: points[at].fall)
        ends = {min(part, key=profits), max(part, key=profits), max(part, key=falls), part[-1]}
        kept += (points[at] for at in sorted(ends))
    return kept


def _hover(strategy: str, what: str) -> str:
    return f"<b>{escape(strategy)}</b> {what} %{{y:,.4~f}} at {_UTC}<extra></extra>"


def returns_figure(returns: Mapping[str, Sequence[float]], colours: Mapping[str, str]) -> dict[str, Any]:
    """Return how many positions of each strategy, one upon the other, brought which return in basis points."""
    data = [
        {
            "type": "histogram",
            "name": escape(f"{strategy} ({len(values)})"),
            "x": list(values),
            "bingroup": "returns",
            "nbinsx": 60,
            "marker": {"color": colours[strategy]},
            "hovertemplate": f"<b>{escape(strategy)}</b> %{{y}} at %{{x}} bps<extra></extra>",
        }
        for strategy, values in returns.items()
    ]
    layout = {
        **LAYOUT,
        "barmode": "stack",
        "bargap": 0.04,
        "xaxis": {**AXIS, "showgrid": False, "title": {"text": "basis points"}},
        "yaxis": {**AXIS, "title": {"text": "positions"}, "tickformat": ",d"},
        "legend": {**LEGEND, "traceorder": "normal"},
        "shapes": [{**_ZERO, "line": {"color": AXIS["linecolor"], "width": 1, "dash": "dot"}}],
    }
    return {"data": data, "layout": layout}


def trade_traces(closed: Sequence[ClosedPosition], colours: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the positions of a symbol as lines from entry to exit, a trace for each strategy."""
    found = []
    for strategy in sorted({each.strategy for each in closed}):
        mine = [each for each in closed if each.strategy == strategy]
        times_ms = [(each.opened_ms, each.closed_ms, None) for each in mine]
        prices = [(each.entry_price, each.exit_price, None) for each in mine]
        found.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": escape(f"{strategy} positions ({len(mine)})"),
                "x": [time_ms for ends in times_ms for time_ms in ends],
                "y": [price for ends in prices for price in ends],
                "text": [text for each in mine for text in (_about(each), _about(each), "")],
                "line": {"color": colours[strategy], "width": 1.4, "dash": "dot"},
                "marker": {"symbol": [*_ENDS, "circle"] * len(mine), "size": 7, "color": colours[strategy]},
                "hovertemplate": f"<b>{escape(strategy)}</b> %{{text}}<extra></extra>",
            }
        )
    return found


def _about(closed: ClosedPosition) -> str:
    prices = f"{closed.entry_price:,.8g} to {closed.exit_price:,.8g}"
    held_s = max(0, closed.closed_ms - closed.opened_ms) / 1_000
    result = f"{signed(closed.pnl, 4)} ({signed(closed.return_bps, 1)} bps) after {held_s:,.1f} s"
    return f"{escape(closed.side)} {result}<br>{prices}, closed by {escape(closed.exit_reason)}"
