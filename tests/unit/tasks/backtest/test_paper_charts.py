"""The charts of what the paper accounts earned."""

from itertools import accumulate

import pytest

from tasks.backtest.paper_charts import (
    EquityPoint,
    equity,
    equity_figure,
    returns_figure,
    thinned_equity,
    trade_traces,
)
from tests.support.events import TIME_MS
from tests.support.strategies.positions import closed

COLOURS = {"skew": "#111111", "iceberg": "#222222"}


def test_profit_begins_with_nothing_and_ends_with_what_is_open():
    positions = [closed(pnl=2.0, closed_ms=TIME_MS + 10), closed(pnl=-3.0, closed_ms=TIME_MS + 20)]
    assert equity(positions, TIME_MS, TIME_MS + 99, unrealised=-0.5) == [
        (TIME_MS, 0.0, 0.0),
        (TIME_MS + 10, 2.0, 0.0),
        (TIME_MS + 20, -1.0, 3.0),
        (TIME_MS + 99, -1.5, 3.5),
    ]


def test_a_strategy_has_a_line_of_profit_and_below_it_one_of_drawdown():
    points = equity([closed(pnl=-2.0)], TIME_MS, TIME_MS + 99, unrealised=0.0)
    above, below = equity_figure({"skew": points}, COLOURS)["data"]
    assert (above["y"], below["y"], below["yaxis"]) == ([0.0, -2.0, -2.0], [0.0, -2.0, -2.0], "y2")
    assert above["x"] == below["x"]
    # The legend names it once, and hides both.
    assert (above["legendgroup"], below["legendgroup"], below["showlegend"]) == ("skew", "skew", False)


def test_a_thinned_line_keeps_its_peaks_and_the_deepest_fall():
    profits = list(accumulate((-1.0) ** number * (number % 13) for number in range(10_000)))
    peaks = accumulate(profits, max)
    points = [
        EquityPoint(at, *pair)
        for at, pair in enumerate((value, peak - value) for value, peak in zip(profits, peaks, strict=True))
    ]
    kept = thinned_equity(points, steps=50)
    assert len(kept) <= 4 * 50
    assert {max(profits), min(profits), profits[-1]} <= {each.profit for each in kept}
    assert max(each.fall for each in kept) == max(each.fall for each in points)
    assert kept == sorted(kept)
    assert thinned_equity(points[:200], steps=50) == points[:200]


def test_returns_are_those_of_each_strategy():
    traces = returns_figure({"skew": [1.0, -2.0], "iceberg": [3.0]}, COLOURS)["data"]
    assert [(trace["name"], trace["x"]) for trace in traces] == [("skew (2)", [1.0, -2.0]), ("iceberg (1)", [3.0])]


@pytest.mark.parametrize("side", ["long", "short"])
def test_a_position_is_a_line_from_entry_to_exit_with_its_profit(side: str):
    first, second = closed(side=side), closed(strategy="iceberg", opened_ms=TIME_MS + 5)
    iceberg, skew = trade_traces([first, second], COLOURS)
    assert skew["x"] == [TIME_MS, TIME_MS + 1_000, None]
    assert skew["y"] == [100.0, 101.0, None]
    assert skew["text"][0] == f"{side} +0.8000 (+80.0 bps) after 1.0 s<br>100 to 101, closed by signal"
    assert (iceberg["name"], iceberg["line"]["color"]) == ("iceberg positions (1)", "#222222")
    assert trade_traces([], COLOURS) == []
