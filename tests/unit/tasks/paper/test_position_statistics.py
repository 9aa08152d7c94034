"""What closed positions come to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.paper import PositionStatistics, summarise
from tasks.paper.position_statistics import DAY_MS
from tests.support.strategies.positions import closed

profits = st.lists(st.integers(-1000, 1000).map(lambda cents: cents / 100), max_size=30)


def of(*pnl: float, day: int = 0) -> PositionStatistics:
    return summarise(closed(pnl=each, closed_ms=day * DAY_MS + at) for at, each in enumerate(pnl))


def test_nothing_has_no_rates_and_no_means():
    none = of()
    assert (none.positions, none.pnl, none.drawdown()) == (0, 0.0, 0.0)
    assert (none.hit_rate, none.average_win, none.average_loss, none.sharpe()) == (None, None, None, None)


def test_hit_rate_and_means_are_those_of_the_two_sides():
    found = of(2.0, -1.0, 4.0, -2.0, 0.0)
    assert (found.positions, found.pnl, found.hit_rate) == (5, 3.0, 0.4)
    assert (found.average_win, found.average_loss) == (3.0, -1.0)
    assert (of(1.0).average_loss, of(-1.0).average_win) == (None, None)


@pytest.mark.parametrize(
    ("pnl", "deepest"),
    [((1.0, 2.0), 0.0), ((-1.0, 2.0), 1.0), ((3.0, -1.0, -1.0, 5.0, -1.5), 2.0), ((-1.0, -2.0), 3.0)],
)
def test_drawdown_is_the_deepest_fall_from_the_peak_before_it(pnl: Any, deepest: float):
    assert of(*pnl).drawdown() == deepest


def test_an_open_position_under_water_deepens_the_drawdown():
    found = of(3.0, -1.0)
    assert (found.fall(), found.fall(-2.5), found.fall(9.0)) == (1.0, 3.5, 0.0)
    assert (found.drawdown(-2.5), found.drawdown(9.0)) == (3.5, 1.0)


def test_sharpe_is_that_of_days_and_quiet_days_count():
    found = summarise(closed(pnl=pnl, closed_ms=day * DAY_MS) for day, pnl in ((10, 2.0), (10, 1.0), (12, 3.0)))
    # Days of 3, 0 and 3: a mean of 2, a deviation of the root of 3.
    assert found.sharpe() == pytest.approx(2 / 3**0.5 * 365**0.5)
    # Of 0, 3, 0, 3.
    assert found.sharpe(first_day=9) == pytest.approx(1.5 / 3**0.5 * 365**0.5)
    assert found.sharpe(first_day=11, last_day=11) == found.sharpe()


def test_one_day_or_days_that_are_all_alike_have_no_sharpe():
    assert of(1.0, 2.0).sharpe() is None
    assert summarise(closed(pnl=1.0, closed_ms=day * DAY_MS) for day in (1, 2)).sharpe() is None


@given(profits)
def test_one_by_one_gives_what_the_whole_list_says(pnl: list[float]):
    found = of(*pnl)
    curve = [sum(pnl[:at]) for at in range(len(pnl) + 1)]
    falls = [max(curve[: at + 1]) - equity for at, equity in enumerate(curve)]
    assert found.drawdown() == pytest.approx(max(falls))
    assert found.pnl == pytest.approx(found.won - found.lost) == pytest.approx(sum(pnl))
    assert sum(found.by_day.values()) == pytest.approx(sum(pnl))
