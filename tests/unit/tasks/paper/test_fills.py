"""The prices that an order gets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.events import Level
from tasks.paper import fills
from tests.support.events import book, kline, trade

LEVELS = ((100.0, 1.0), (101.0, 2.0), (103.0, 4.0))
level = st.tuples(st.floats(1, 1e6), st.floats(1e-6, 1e6))


def test_an_order_walks_the_levels_until_its_value_is_spent():
    assert fills.spend(LEVELS, 50.0) == (0.5, 50.0)
    assert fills.spend(LEVELS, 201.0) == (2.0, 201.0)
    assert fills.spend(LEVELS, 714.0) == (7.0, 714.0)


def test_an_order_walks_the_levels_until_its_quantity_is_traded():
    assert fills.trade(LEVELS, 0.5) == (0.5, 50.0)
    assert fills.trade(LEVELS, 2.0) == (2.0, 201.0)


def test_what_the_levels_do_not_have_is_not_filled():
    assert fills.spend(LEVELS, 10_000.0) == (7.0, 714.0)
    assert fills.trade(LEVELS, 100.0) == (7.0, 714.0)


@given(st.lists(level, min_size=1, max_size=20), st.floats(1e-3, 1e9))
def test_no_fill_is_better_than_the_best_level_or_worse_than_the_last(levels: list[Level], notional: float):
    levels = sorted(levels)
    got = fills.spend(levels, notional)
    assert got.value <= notional
    assert levels[0][0] * (1 - 1e-9) <= got.value / got.quantity <= levels[-1][0] * (1 + 1e-9)
    again = fills.trade(levels, got.quantity)
    assert math.isclose(again.value, got.value, rel_tol=1e-6)


def test_a_book_gives_its_levels_and_a_trade_its_price_and_slippage():
    assert fills.quote(book([(99.0, 1.0)], [(101.0, 2.0)]), 50.0) == (((99.0, 1.0),), ((101.0, 2.0),), 99.0, 101.0)
    assert fills.quote(trade(200.0), 50.0) == (((199.0, math.inf),), ((201.0, math.inf),), 200.0, 200.0)
    assert fills.quote(kline(200.0), 0.0) == (((200.0, math.inf),), ((200.0, math.inf),), 200.0, 200.0)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("trade", "depth"), "depth"),
        (("kline", "trade"), "trade"),
        (("mark_price", "agg_trade"), "agg_trade"),
        (("mark_price", "liquidation"), None),
    ],
)
def test_orders_are_filled_by_the_kind_that_tells_most(kinds, expected):
    assert fills.price_kind(kinds) == expected
