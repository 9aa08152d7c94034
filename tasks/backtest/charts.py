"""The charts of the backtest's page: price and signals of one symbol, as plotly reads them. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from tasks.scoring.forward_returns import Prices, SignalRow

#: A chart shows at most twice as many points, the lowest and the highest of each step.
STEPS = 1_500
#: Where the market was silent for longer, the line is broken.
MIN_HOLE_MS = 10_000
#: Told apart by most eyes, on white and on black (Okabe and Ito, without yellow and black).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6bb1", "#7f7f7f")
_MARKERS = {"buy": "triangle-up", "sell": "triangle-down"}
_GREY = "#808890"
AXIS = {"gridcolor": "rgba(128,136,144,0.22)", "zeroline": False, "linecolor": _GREY}
LAYOUT: Mapping[str, Any] = {
    "template": "none",
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": _GREY, "family": "system-ui, sans-serif", "size": 13},
    "margin": {"l": 80, "r": 10, "t": 10, "b": 40},
    "hovermode": "closest",
    "hoverlabel": {"align": "left"},
    "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": _GREY, "remove": ["lasso2d", "select2d", "sendChartToCloud"]},
    "legend": {"orientation": "h", "y": -0.12},
    "xaxis": {**AXIS, "type": "date", "showgrid": False},
    "yaxis": {**AXIS, "tickformat": ",~f"},
}
#: Above a chart, where it can't run into the axis: on a phone its names stand one below the other.
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}


def figure(series: Prices, label: str, signals: Sequence[SignalRow], colours: Mapping[str, str]) -> dict[str, Any]:
    """Return the chart of a symbol: the line of its price, named `label`, and markers for each strategy and action."""
    points = list(thinned(series))
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": label,
        "x": [time_ms for time_ms, _ in points],
        "y": [price for _, price in points],
        "line": {"color": _GREY, "width": 1.2},
        "hovertemplate": "%{y} at %{x|%H:%M:%S.%L}<extra></extra>",
    }
    groups = sorted({(each.strategy, each.action) for each in signals})
    return {
        "data": [line, *(_markers(*group, signals, colours) for group in groups)],
        "layout": {**LAYOUT, "legend": LEGEND},
    }


def _markers(strategy: str, action: str, signals: Iterable[SignalRow], colours: Mapping[str, str]) -> dict[str, Any]:
    mine = [each for each in signals if (each.strategy, each.action) == (strategy, action)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(f"{strategy} {action} ({len(mine)})"),
        "x": [each.event_time_ms for each in mine],
        "y": [each.current_price for each in mine],
        # Plotly reads a few tags in these texts, so they are escaped as for HTML.
        "text": [f"{each.confidence:.2f}: {escape(each.rationale)}" for each in mine],
        "marker": {
            "symbol": _MARKERS.get(action, "circle"),
            "size": 10,
            "color": colours[strategy],
            "line": {"color": "#ffffff", "width": 0.8},
        },
        "hovertemplate": f"<b>{escape(strategy)} {escape(action)}</b> %{{y}} at %{{x|%H:%M:%S.%L}}<br>"
        "confidence %{text}<extra></extra>",
    }


def thinned(series: Prices, steps: int = STEPS) -> Iterator[tuple[int, float | None]]:
    """Yield (time, price): of each of `steps` equal spans of time the lowest and the highest; None for a hole."""
    if not series.times_ms:
        return
    first_ms, last_ms = series.times_ms[0], series.times_ms[-1]
    step_ms = max(1.0, (last_ms - first_ms + 1) / steps)
    kept: dict[int, list[tuple[float, int]]] = {}
    for time_ms, price in zip(series.times_ms, series.prices, strict=True):
        found, at = kept.setdefault(int((time_ms - first_ms) / step_ms), [(price, time_ms)] * 2), (price, time_ms)
        found[:] = min(found[0], at), max(found[1], at)
    points = sorted({(time_ms, price) for found in kept.values() for price, time_ms in found})
    yield points[0]
    for (before_ms, _), (time_ms, price) in pairwise(points):
        if time_ms - before_ms > max(MIN_HOLE_MS, 3 * step_ms):
            yield before_ms + 1, None
        yield time_ms, price
