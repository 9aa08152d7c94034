"""Figures and parameters of a sweep's page: what counts as a number, the order of values, how they are written."""

import math

import pytest

from tasks.sweep.page.columns import best, figure_columns, last_line, set_text
from tasks.sweep.page.script_data import parameter_values
from tests.support.pages.sweeps import row, sweep_page


def test_the_objective_is_the_first_column_and_empty_columns_are_left_out():
    names = [column.name for column in figure_columns(sweep_page())]
    assert names == ["profit", "signals", "positions", "hit_rate", "pnl"]


def test_figures_are_written_by_their_kind():
    rows = [row("skew", 1234.5) | {"sharpe": 1.234, "fees": 0.5}, row("skew", -0.001)]
    columns = {column.name: column for column in figure_columns(sweep_page(rows=rows))}
    texts = {name: columns[name].text(rows[0][name]) for name in ("profit", "fees", "sharpe", "hit_rate", "signals")}
    assert texts == {"profit": "1,234.50", "fees": "0.50", "sharpe": "1.23", "hit_rate": "50.0%", "signals": "9"}
    assert columns["profit"].text(-0.001) == "0.00"
    assert columns["profit"].text(None) == "-"


@pytest.mark.parametrize("is_lowest", [False, True])
def test_the_best_set_is_never_one_that_failed_or_has_no_number(is_lowest: bool):  # noqa: FBT001 a parameter of pytest
    rows = [
        row("skew", math.nan, levels=1),
        row("skew", None, levels=2),
        row("skew", -99.0, "ValueError", levels=3),
        row("skew", 99.0, "ValueError", levels=4),
        row("skew", 1.0, levels=5),
        row("skew", 1.0, levels=6),
    ]
    found = best(sweep_page(is_lowest_best=is_lowest), rows)
    assert found is not None
    assert found["parameters"] == {"levels": 5}
    assert best(sweep_page(), rows[:4]) is None


def test_numbers_are_ordered_by_value_and_a_set_without_one_is_marked():
    rows = [row("skew", 1.0, levels=100), row("skew", 1.0), row("skew", 1.0, levels=9), row("skew", 1.0, levels=100)]
    found = parameter_values("levels", rows)
    assert (found.texts, found.numbers, found.at) == (["9", "100"], [9, 100], [1, -1, 0, 1])


@pytest.mark.parametrize("odd", ["5", True, None, [5]])
def test_values_that_are_not_all_numbers_are_categories(odd: object):
    found = parameter_values("levels", [row("skew", 1.0, levels=5), row("skew", 1.0, levels=odd)])
    assert found.numbers is None
    assert len(set(found.at)) == 2


def test_a_set_is_written_exactly_in_one_line():
    assert set_text({"a": 0.1234567890123, "side": "long", "on": True}) == "a=0.1234567890123, side=long, on=true"
    assert set_text({}) == "as in the strategies file"


def test_the_last_line_of_a_traceback_names_the_error():
    assert last_line("Traceback\n  File\nValueError: odd\n\n") == "ValueError: odd"
    assert last_line(" \n") == "unknown error"
