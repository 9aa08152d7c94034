"""Bars of trades, one symbol at a time."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.bars import Bar, BarBuilder, BarSpec, OpenBar, bars
from tasks.events import STEP_BACK_MS, Trade
from tests.support.events import TIME_MS, trade
from tests.support.strategies.bars import SPECS, aggregate, trades_of

MINUTE_MS = 60_000


def at(*times_ms: int) -> list[Trade]:
    """Return trades at these times, one after the other; each of its own price."""
    return [trade(100.0 + n, time_ms=TIME_MS + ms, id=n) for n, ms in enumerate(times_ms)]


def shape(found: Bar) -> tuple[int, int, bool]:
    """Return a bar's first millisecond since the start, its number of trades, and whether it is partial."""
    return found.open_ms - TIME_MS, found.trades, found.is_partial


def test_a_bar_tells_all_that_its_trades_were():
    made = [
        trade(100.0, 1.0, taker="buy", time_ms=TIME_MS + 5_000),
        trade(104.0, 2.0, taker="sell", time_ms=TIME_MS + 6_000),
        trade(98.0, 0.5, taker="buy", time_ms=TIME_MS + 59_999),
        trade(99.0, 9.0, time_ms=TIME_MS + 60_000),
    ]
    [found] = bars(made, "1m")
    assert found == Bar(
        "spot",
        "BTCUSDT",
        "1m",
        TIME_MS,
        TIME_MS + 59_999,
        100.0,
        104.0,
        98.0,
        98.0,
        3.5,
        357.0,
        3,
        1.5,
        is_partial=True,
    )
    assert found.vwap == 357.0 / 3.5


def test_the_first_trade_at_or_after_its_end_closes_a_time_bar():
    made = at(0, 59_999, 60_000, 120_000)
    builder = BarBuilder(BarSpec.parse("1m"))
    assert [found and shape(found) for found in map(builder.add, made)] == [
        None,
        None,
        (0, 2, True),
        (60_000, 1, False),
    ]
    assert builder.open_bar is not None
    assert builder.open_bar.trades == 1


def test_where_nothing_was_traded_there_is_no_bar():
    made = at(0, 70_000, 600_001, 660_000)
    assert [shape(found) for found in bars(made, "1m")] == [(0, 1, True), (60_000, 1, False), (600_000, 1, False)]


def test_a_time_bar_that_had_begun_before_its_first_trade_is_partial():
    """It can't be known whether there was an earlier one, even at its first millisecond."""
    assert [found.is_partial for found in bars(at(0, 60_000, 120_000), "1m")] == [True, False]


def test_time_bars_lie_on_the_grid_of_the_utc_day():
    [found] = bars(at(3 * 3_600_000, 25 * 3_600_000), "6h")
    assert (found.open_ms - TIME_MS, found.close_ms - TIME_MS) == (0, 6 * 3_600_000 - 1)


@pytest.mark.parametrize("back_ms", [1, STEP_BACK_MS])
def test_a_trade_a_little_before_the_open_time_bar_counts_in_it(back_ms: int):
    made = at(0, 60_000, 60_000 - back_ms, 120_000)
    assert [shape(found) for found in bars(made, "1m")] == [(0, 1, True), (60_000, 2, False)]


def test_after_a_clock_that_was_ahead_bars_go_on_at_once():
    made = at(10_000, 60_000, 3_600_000, 70_000, 120_000, 180_000)
    assert [shape(found) for found in bars(made, "1m")] == [
        (0, 1, True),
        (60_000, 1, False),
        (3_600_000, 1, True),
        (60_000, 1, True),
        (120_000, 1, False),
    ]


@pytest.mark.parametrize("spec", ["2tick", "2volume", "200dollar", "1.9999volume", "150dollar"])
def test_other_bars_are_closed_by_the_trade_that_fills_them(spec: str):
    made = at(5, 5, 7, 9, 3)
    found = list(bars(made, spec))
    assert [shape(each) for each in found] == [(5, 2, False), (7, 2, False)]
    assert [each.close_ms - TIME_MS for each in found] == [5, 9]


def test_a_large_trade_is_never_split():
    found = list(bars([trade(quantity=q) for q in (0.9, 5.0, 3.0, 0.1)], "1volume"))
    assert [each.volume for each in found] == [5.9, 3.0]


def test_ten_tenths_fill_a_bar_of_one():
    assert sum([0.1] * 10) < 1
    assert [each.trades for each in bars([trade(quantity=0.1)] * 25, "1volume")] == [10, 10]


def test_an_aggregate_counts_as_the_trades_in_it():
    made = [aggregate(1, 3), aggregate(4, 4), aggregate(-1, -1), aggregate(9, 7), trade()]
    assert [each.trades for each in bars(made, "4tick")] == [4]
    assert [each.trades for each in bars(made, "1tick")] == [3, 1, 1, 1, 1]


def test_each_venue_and_symbol_has_bars_of_its_own():
    made = [trade(symbol=name, venue=venue) for venue in ("spot", "usdm") for name in "AB" for _ in range(3)]
    found = [(each.venue, each.symbol, each.trades) for each in bars(made[::2] + made[1::2], "2tick")]
    assert sorted(found) == [("spot", "A", 2), ("spot", "B", 2), ("usdm", "A", 2), ("usdm", "B", 2)]


def test_a_bar_that_there_is_not_is_told_before_the_first_trade():
    with pytest.raises(ValueError, match="is no bar"):
        next(bars([], "7s"))


def built(made: list[Trade], spec: str) -> tuple[list[Bar], OpenBar | None]:
    builder = BarBuilder(BarSpec.parse(spec))
    return [found for each in made if (found := builder.add(each))], builder.open_bar


@given(trades_of(), st.sampled_from(SPECS))
def test_each_trade_is_in_one_bar_whatever_the_clocks_do(made: list[Trade], spec: str):
    closed, still_open = built(made, spec)
    every: list[Bar | OpenBar] = [*closed, *([still_open] if still_open else [])]
    assert sum(each.trades for each in every) == len(made)
    for name, total in {
        "volume": math.fsum(each.quantity for each in made),
        "quote_volume": math.fsum(each.price * each.quantity for each in made),
        "taker_buy_volume": math.fsum(each.quantity for each in made if not each.buyer_is_maker),
    }.items():
        assert math.fsum(getattr(each, name) for each in every) == pytest.approx(total)
    if made:
        assert (every[0].open, every[-1].close) == (made[0].price, made[-1].price)
        assert max(each.high for each in every) == max(each.price for each in made)
        assert min(each.low for each in every) == min(each.price for each in made)
    assert all(each.trades > 0 and each.low <= min(each.open, each.close) for each in every)


@given(trades_of(), st.sampled_from(["1s", "5s", "1m", "1h", "1d"]))
def test_time_bars_lie_on_the_grid_and_do_not_overlap(made: list[Trade], spec: str):
    """The exception are clocks that are set right: the bars on both sides of such a step are partial."""
    interval_ms = BarSpec.parse(spec).size
    closed, _ = built(made, spec)
    for each in closed:
        assert each.open_ms % interval_ms == 0
        assert each.close_ms - each.open_ms + 1 == interval_ms
    for before, after in pairwise(closed):
        assert after.open_ms > before.close_ms or (before.is_partial and after.is_partial)


@given(trades_of(), st.sampled_from(SPECS), st.integers(0, 60))
def test_a_builder_goes_on_from_an_open_bar_as_if_it_had_built_it(made: list[Trade], spec: str, cut: int):
    first, still_open = built(made[:cut], spec)
    later = BarBuilder(BarSpec.parse(spec), still_open)
    assert first + [found for each in made[cut:] if (found := later.add(each))] == built(made, spec)[0]
