from math import nan

import pytest
from msgspec import UNSET

from ingest.monitoring.feed_watch import FeedWatch
from ingest.page.market import (
    HISTORY_POINTS,
    LEAP_MS,
    MAX_SYMBOLS,
    PAST_POINTS,
    PAST_STEP_MS,
    STALE_S,
    PageMarket,
    SymbolRow,
)
from tasks.protocol.records import NEW_GENERATION_MS
from tests.support.events import TIME_MS, book, kline, liquidation, mark_price, quote, trade


class ShownMarket:
    """A market, and the feed before it."""

    def __init__(self) -> None:
        self.feed, self.market = FeedWatch(), PageMarket()
        self.observe = self.feed.observe

    def tick(self, now_s: float) -> list[SymbolRow]:
        return self.market.tick(self.feed.tick(now_s), now_s)


def test_a_row_has_the_latest_book_and_trade_and_its_events_since_a_tick():
    market = ShownMarket()
    for event in (book(), trade(100.0), trade(101.0), book(((99.0, 1.0),), ((101.0, 1.0),))):
        market.observe(event)
    [row] = market.tick(1.0)
    assert (row.mid, row.spread_bps, row.trade, row.events) == (100.0, 200.0, 101.0, 4)
    market.observe(trade(102.0))
    [row] = market.tick(2.0)
    assert (row.mid, row.trade, row.events) == (100.0, 102.0, 1)
    assert market.tick(3.0) == []


def test_a_row_has_what_other_kinds_said_last():
    market = ShownMarket()
    for event in (mark_price(101.5), kline(100.5), liquidation(time_ms=TIME_MS + 1), liquidation(time_ms=TIME_MS + 2)):
        market.observe(event)
    [row] = market.tick(1.0)
    assert (row.mark_price, row.funding_rate, row.candle, row.candle_interval) == (101.5, 0.0001, 100.5, "1m")
    assert (row.liquidations, row.events, row.other_ms) == (2, 4, 0)
    market.observe(liquidation(time_ms=TIME_MS + 3))
    [row] = market.tick(2.0)
    assert row.liquidations == 3


def test_quotes_stand_for_a_book_only_while_no_book_comes():
    market = ShownMarket()
    market.observe(quote(99.0, 101.0))
    [row] = market.tick(1.0)
    assert (row.bid, row.ask, row.mid, row.spread_bps) == (99.0, 101.0, 100.0, 200.0)
    assert market.market.history[0].mid == [100.0]
    market.observe(book(venue="usdm"))
    [row] = market.tick(2.0)
    assert (row.bid, row.ask, row.mid) == (UNSET, UNSET, 2000.0)
    market.observe(quote(99.0, 101.0, id=2))
    [row] = market.tick(3.0)
    assert (row.bid, row.mid) == (UNSET, 2000.0)
    market.observe(quote(99.0, 101.0, id=3))
    [row] = market.tick(2.0 + STALE_S)
    assert (row.bid, row.mid) == (99.0, 100.0)


def test_the_same_symbol_of_two_venues_is_two_rows():
    market = ShownMarket()
    market.observe(trade(1.0, venue="spot"))
    market.observe(trade(2.0, venue="usdm"))
    assert {(row.venue, row.trade) for row in market.tick(1.0)} == {("spot", 1.0), ("usdm", 2.0)}


def test_the_history_has_a_point_a_tick_and_a_gap_where_the_book_is_old():
    market = ShownMarket()
    market.observe(book())
    for second in range(int(STALE_S) + 2):
        market.tick(float(second))
    [history] = market.market.history
    assert history.mid[: int(STALE_S)] == [2000.0] * int(STALE_S)
    assert history.mid[int(STALE_S) :] == pytest.approx([nan, nan], nan_ok=True)


def test_the_history_runs_on_the_books_time_and_goes_on_without_books():
    market = ShownMarket()
    for second, time_ms in enumerate((TIME_MS, TIME_MS + 5_000, None, TIME_MS + 5_500, TIME_MS + 9_000)):
        if time_ms:
            market.observe(book(time_ms=time_ms))
        market.tick(float(second))
    [history] = market.market.history
    assert [each - TIME_MS for each in history.times_ms] == [0, 5_000, 6_000, 6_000, 9_000]


@pytest.mark.parametrize("leap_ms", [-NEW_GENERATION_MS - 1, LEAP_MS + 1])
def test_the_history_restarts_where_time_leaps_to_that_of_another_feed(leap_ms: int):
    market = ShownMarket()
    for second, time_ms in enumerate((TIME_MS, TIME_MS + 1_000, TIME_MS + 1_000 + leap_ms)):
        market.observe(book(time_ms=time_ms))
        market.tick(float(second))
    [history] = market.market.history
    assert (history.times_ms, history.mid) == ([TIME_MS + 1_000 + leap_ms], [2000.0])


def test_trades_before_the_first_book_leave_no_points():
    market = ShownMarket()
    market.observe(trade())
    market.tick(1.0)
    assert market.market.history[0].times_ms == []


def test_history_and_symbols_are_bounded_and_the_most_active_stay():
    market = ShownMarket()
    for number in range(MAX_SYMBOLS + 20):
        for _ in range(2 if number >= 20 else 1):
            market.observe(book(symbol=f"S{number}USDT"))
    for second in range(HISTORY_POINTS + 5):
        market.tick(float(second))
    assert {row.symbol for row in market.market.rows} == {f"S{number}USDT" for number in range(20, MAX_SYMBOLS + 20)}
    assert {len(history.mid) for history in market.market.history} == {HISTORY_POINTS}


# What is told


def test_older_points_are_kept_in_steps_and_in_bounded_memory():
    shown = ShownMarket()
    for second in range(HISTORY_POINTS + 35):
        shown.observe(book(id=second + 1, time_ms=TIME_MS + 1_000 * second))
        shown.tick(float(second))
    past = shown.market.past("spot", "BTCUSDT")
    assert past.times_ms == [TIME_MS + step * PAST_STEP_MS for step in range(4)]
    assert len(past.mid) == len(past.spread_bps) == 4
    for second in range(PAST_POINTS + HISTORY_POINTS):
        shown.observe(book(id=second + 1_000, time_ms=TIME_MS + 1_000_000 + PAST_STEP_MS * second))
        shown.tick(1_000.0 + second)
    assert len(shown.market.past("spot", "BTCUSDT").times_ms) == PAST_POINTS
    shown.observe(book(id=1, time_ms=TIME_MS - LEAP_MS))
    shown.tick(10_000.0)
    assert shown.market.past("spot", "BTCUSDT").times_ms == []
    assert shown.market.past("spot", "UNKNOWN").times_ms == []
