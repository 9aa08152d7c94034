"""Rows are what the figures of all parts come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.paper import PositionStatistics
from tasks.sweep import figures
from tasks.sweep.figures import Figures

DAY_MINUTES = 24 * 60


def part(*pnl: float, minute: int = 0, **more: float) -> Figures:
    """Figures of positions that were closed in minutes one after the other."""
    won, lost = sum(each for each in pnl if each > 0), -sum(each for each in pnl if each <= 0)
    by_minute = {minute + number: each for number, each in enumerate(pnl)}
    made = Figures(positions=len(pnl), wins=sum(each > 0 for each in pnl), pnl=sum(pnl), won=won, lost=lost)
    made.by_minute = by_minute
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_sums_are_added_up_and_rates_are_of_the_sums():
    row = figures.row("skew", {"levels": 5}, [part(2.0, -1.0), part(4.0, -2.0, 0.0, unrealised=1.5, open=1)])
    assert (row.positions, row.open, row.pnl, row.unrealised, row.profit) == (5, 1, 3.0, 1.5, 4.5)
    assert (row.hit_rate, row.average_win, row.average_loss) == (0.4, 3.0, -1.0)


def test_a_set_without_positions_has_no_rates():
    row = figures.row("skew", {}, [Figures(signals=3), Figures()])
    assert (row.signals, row.positions, row.profit) == (3, 0, 0.0)
    assert (row.hit_rate, row.average_win, row.average_loss, row.sharpe, row.exposure) == (None,) * 5


def test_drawdown_of_one_part_is_that_of_its_account():
    assert figures.row("skew", {}, [part(1.0, -3.0, drawdown=7.0)]).max_drawdown == 7.0


def test_drawdown_of_several_is_of_their_profit_together():
    rising, falling = part(1.0, 1.0, drawdown=9.0), part(0.0, -3.0, unrealised=-1.0)
    # 1, then 1 + 1 - 3, then what is open.
    assert figures.row("skew", {}, [rising, falling]).max_drawdown == 3.0


def test_sharpe_counts_days_with_events_and_no_others():
    day_ms = DAY_MINUTES * figures.MINUTE_MS
    monday = part(2.0, first_ms=1, last_ms=day_ms - 1)
    thursday = part(4.0, minute=3 * DAY_MINUTES, first_ms=3 * day_ms, last_ms=4 * day_ms - 1)
    row = figures.row("skew", {}, [monday, thursday])
    assert row.sharpe == pytest.approx(3.0 / 2**0.5 * 365**0.5)
    assert figures.row("skew", {}, [monday]).sharpe is None


def test_exposure_is_the_share_of_the_time():
    row = figures.row("skew", {}, [part(held_ms=10, span_ms=40), part(held_ms=20, span_ms=60)])
    assert row.exposure == 0.3


def test_an_error_leaves_no_figures():
    row = figures.row("skew", {"levels": 5}, [part(2.0)], "Traceback ...")
    assert (row.error, row.profit, row.positions) == ("Traceback ...", 0.0, 0)


@given(st.lists(st.integers(-1000, 1000).map(lambda cents: cents / 4), max_size=40))
def test_drawdown_by_minute_is_that_of_the_statistics_of_positions(pnl: list[float]):
    known = PositionStatistics()
    for each in pnl:
        known.pnl += each
        known.peak = max(known.peak, known.pnl)
        known.deepest = max(known.deepest, known.peak - known.pnl)
    assert figures.row("skew", {}, [part(*pnl), Figures()]).max_drawdown == known.deepest


def test_every_numeric_column_can_rank_sets():
    row = figures.row("skew", {"levels": 5}, [part(1.0)])
    assert all(isinstance(getattr(row, name), int | float | None) for name in figures.NUMERIC_COLUMNS)
