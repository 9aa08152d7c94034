"""What the price did after a signal, whatever the clocks of books and trades say."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.events import STEP_BACK_MS, AnyEvent, Kind, Venue
from tasks.scoring.forward_returns import MAX_AGE_MS, SignalRow, SignalTrigger, forward_bps
from tasks.scoring.prices import PriceHistory
from tests.support.events import TIME_MS, book, trade


def seen(events: Iterable[AnyEvent]) -> PriceHistory:
    market = PriceHistory()
    for event in events:
        market.observe(event)
    return market


def books(*points: tuple[int, float], first: int = 1, step: int = 1) -> list[AnyEvent]:
    """Books at (milliseconds, mid), at every `step`-th position."""
    return [
        book([(mid - 1, 1.0)], [(mid + 1, 1.0)], time_ms=TIME_MS + after_ms, id=number, seq=first + number * step)
        for number, (after_ms, mid) in enumerate(points)
    ]


def said(after_ms: int, action: str = "buy", *, kind: Kind = "depth", venue: Venue = "spot") -> SignalRow:
    return SignalRow(
        strategy="any",
        symbol="BTCUSDT",
        action=action,
        confidence=0.7,
        current_price=100.0,
        rationale="",
        event_time_ms=TIME_MS + after_ms,
        trigger=SignalTrigger(venue, "BTCUSDT", kind),
    )


#: 1 % up after a second; a minute of nothing, and 1 % below the first.
MARKET = seen(books((0, 100.0), (1_000, 101.0), (60_000, 99.0)))


@pytest.mark.parametrize(
    ("after_ms", "horizon_s", "action", "bps"),
    [
        (0, 1, "buy", [100.0]),  # 101/100
        (0, 1, "sell", [-100.0]),
        (0, 60, "buy", [-100.0]),  # 99/100
        (0, 1, "hold", []),
        (1_000, 30, "buy", []),  # it ends in the hole, where the price is old
        (60_000, 1, "buy", []),  # it ends beyond the last price
    ],
)
def test_a_forward_return_needs_a_fresh_price_at_both_ends(after_ms, horizon_s, action, bps):
    assert forward_bps(MARKET.series, [said(after_ms, action)], horizon_s) == pytest.approx(bps)


def test_the_prices_of_another_venue_are_another_market():
    assert forward_bps(MARKET.series, [said(0, venue="usdm")], 1) == []


def test_trades_are_the_price_where_there_are_no_books():
    market = seen([trade(100.0, time_ms=TIME_MS, seq=1), trade(101.0, time_ms=TIME_MS + 1_000, seq=2)])
    assert forward_bps(market.series, [said(0, kind="trade")], 1) == pytest.approx([100.0])


def test_prices_go_on_once_a_clock_that_was_ahead_is_set_right():
    """By times that never fall, no price would be found until the hour has passed."""
    points = [(0, 100.0), (3_600_000, 100.0), (3_600_100, 100.0), (1_000, 100.0), (2_000, 101.0), (3_000, 101.0)]
    assert forward_bps(seen(books(*points)).series, [said(1_000)], 1) == pytest.approx([100.0])


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=60))
def test_the_times_of_prices_never_fall_and_end_near_the_present(steps_ms: Sequence[int]):
    after_ms, points = 0, []
    for step_ms in steps_ms:
        after_ms += step_ms
        points.append((after_ms, 100.0))
    kept = seen(books(*points)).prices(("spot", "BTCUSDT")).times_ms
    assert list(kept) == sorted(kept)
    assert 0 <= kept[-1] - (TIME_MS + after_ms) <= STEP_BACK_MS


def mixed(clocks_apart_ms: int) -> list[AnyEvent]:
    """A book and a trade in turn, 50 ms apart; the mid rises by one at every book. The trades' clock is ahead."""
    of_books = books(*((number * 100, 1_000.0 + number) for number in range(200)), first=0, step=2)
    trades = [
        trade(1.0, time_ms=TIME_MS + number * 100 + 50 + clocks_apart_ms, id=number, seq=2 * number + 1)
        for number in range(200)
    ]
    return sorted([*of_books, *trades], key=lambda event: event.seq)


def test_a_trades_price_is_that_of_the_last_book_that_had_arrived():
    # The trade comes after the book of 1,010 and before the next, 100 ms later; so does the price a second after it.
    market = seen(mixed(0))
    assert forward_bps(market.series, [said(1_050, kind="trade")], 1) == pytest.approx([(1_021 / 1_010 - 1) * 1e4])


@given(clocks_apart_ms=st.integers(-5_000, 5_000), numbers=st.lists(st.integers(0, 198), min_size=1, max_size=5))
def test_returns_do_not_depend_on_how_far_the_clocks_are_apart(clocks_apart_ms: int, numbers: Sequence[int]):
    def returns(apart_ms: int) -> list[float]:
        rows = [said(number * 100 + 50 + apart_ms, kind="trade") for number in numbers]
        return forward_bps(seen(mixed(apart_ms)).series, rows, 10)

    assert returns(clocks_apart_ms) == returns(0)


def test_a_trade_in_a_hole_of_the_books_says_nothing():
    trades = [trade(1.0, time_ms=TIME_MS + after_ms, seq=seq) for after_ms, seq in ((10, 2), (MAX_AGE_MS + 1_000, 3))]
    market = seen(
        [*books((0, 100.0)), *trades, *books((MAX_AGE_MS + 2_000, 101.0), (MAX_AGE_MS + 9_000, 101.0), first=4)]
    )
    assert forward_bps(market.series, [said(MAX_AGE_MS + 1_000, kind="trade")], 1) == []
    assert forward_bps(market.series, [said(10, kind="trade")], 1) == pytest.approx([0.0])


def test_a_signal_on_another_symbol_is_scored_by_that_symbols_prices():
    """The strategy's signal names another symbol than the event that led to it."""
    market = seen([*books((0, 100.0), (1_000, 101.0)), trade(5.0, symbol="ETHUSDT", time_ms=TIME_MS + 300, seq=1)])
    row = said(300)
    row.trigger = SignalTrigger("spot", "ETHUSDT", "trade")
    assert forward_bps(market.series, [row], 1) == pytest.approx([100.0])
