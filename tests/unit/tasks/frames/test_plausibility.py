"""A book under the name of another symbol is refused; a market that moves is not."""

from collections.abc import Iterable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.events import AnyEvent, Depth, Trade, Venue
from tasks.frames.encoder import frame
from tasks.frames.model import RefusedFrame
from tasks.frames.plausibility import CONTRADICTIONS, HOLDS_MS, BookGuard, FrameReader, PlausibilityLimits
from tests.support.events import TIME_MS, book, trade
from tests.support.frames.wire import METADATA

BTC, ETH = 61_800.0, 2_680.0


def quote(mid: float, at_ms: int, *, half: float = 0.0001, venue: Venue = "spot") -> Depth:
    return book([(mid * (1 - half), 1.0)], [(mid * (1 + half), 1.0)], time_ms=TIME_MS + at_ms, venue=venue)


def sale(price: float, at_ms: int, venue: Venue = "spot") -> Trade:
    return trade(price, time_ms=TIME_MS + at_ms, venue=venue)


def accepted(events: Iterable[AnyEvent]) -> list[bool]:
    """Return for each book whether it is accepted."""
    guard, outcomes = BookGuard(0.2), list[bool]()
    for event in events:
        if isinstance(event, Depth):
            outcomes.append(guard.check(event) is None)
        elif isinstance(event, Trade):
            guard.observe(event)
    return outcomes


@st.composite
def calm(draw: st.DrawFn) -> list[AnyEvent]:
    """Draw a market that moves by less than 20 % within a minute, at any pace, with trades and books in any order."""
    steps = st.tuples(st.booleans(), st.floats(-0.09, 0.09), st.integers(-1_500, 30_000))
    at_ms, base, made = 0, draw(st.floats(1e-6, 1e9)), list[AnyEvent]()
    for is_trade, distance, step_ms in draw(st.lists(steps, max_size=60)):
        at_ms += step_ms
        price = base * (1 + distance)
        made.append(sale(price, at_ms) if is_trade else quote(price, at_ms))
    return made


@given(calm(), st.integers(0, 60))
def test_a_calm_market_is_accepted_whatever_is_remembered_of_it(events: list[AnyEvent], cut: int):
    assert all(accepted(events))
    assert all(accepted(events[cut:]))


@given(st.lists(st.sampled_from(["right book", "wrong book", "trade"]), max_size=200), st.sampled_from([BTC, ETH]))
def test_books_of_two_symbols_under_one_name_are_told_apart_by_trades(kinds: list[str], right: float):
    wrong = BTC + ETH - right
    events: list[AnyEvent] = [sale(right, 0)]
    for at_ms, kind in enumerate(kinds):
        events.append(sale(right, at_ms) if kind == "trade" else quote(right if kind == "right book" else wrong, at_ms))
    assert accepted(events) == [kind == "right book" for kind in kinds if kind != "trade"]


def test_a_wrong_book_that_came_first_speaks_for_few_others():
    """Nothing was known when it came."""
    turns = [quote(BTC, 0), *(event for n in range(1, 20) for event in (sale(ETH, n * 100), quote(BTC, n * 100)))]
    assert accepted(turns) == [True] * CONTRADICTIONS + [False] * (20 - CONTRADICTIONS)
    assert accepted([quote(BTC, 0), sale(ETH, 1), quote(ETH, 2), quote(BTC, 3)]) == [True, True, False]


def test_without_trades_the_level_that_came_first_is_the_symbols():
    assert accepted(quote(ETH if n % 2 else BTC, n * 100) for n in range(2_000)) == [True, False] * 1_000


def test_a_jump_is_refused_until_trades_follow():
    events: list[AnyEvent] = [
        sale(100, 0),
        quote(100, 1),
        quote(70, 2),
        quote(70, 3),
        sale(71, 4),
        quote(70, 5),
        quote(69, 6),
    ]
    assert accepted(events) == [True, False, False, True, True]


def test_a_jump_without_trades_is_accepted_after_a_minute():
    steps = [1, 30_000, HOLDS_MS, HOLDS_MS + 1, HOLDS_MS + 2]
    assert accepted([quote(100, 0), *(quote(70, at_ms) for at_ms in steps)]) == [True, False, False, False, True, True]


def test_a_fall_in_many_steps_is_accepted_without_trades():
    assert all(accepted(quote(100 * 0.9**n, n * 100) for n in range(100)))


def test_an_order_that_sweeps_the_book_for_a_moment_takes_no_book_with_it():
    sweep = [sale(100 - n, 5) for n in range(60)]
    assert accepted([quote(100, 0), *sweep, *(quote(99, 6 + n) for n in range(200))]) == [True] * 201


def test_what_was_known_holds_for_a_minute_or_until_time_jumps_back():
    assert accepted([sale(100, 0), quote(300, HOLDS_MS)]) == [False]
    assert accepted([sale(100, 0), quote(300, HOLDS_MS + 1)]) == [True]
    assert accepted([sale(100, 3_600_000), quote(100, 3_600_000), quote(300, 0)]) == [True, True]


def test_a_wide_book_around_the_last_trade_is_near_it():
    assert accepted([sale(100, 0), quote(200, 1, half=0.6)]) == [True]


def test_venues_and_symbols_know_nothing_of_each_other():
    other = trade(BTC, symbol="ETHUSDT")
    assert accepted([sale(BTC, 0), other, quote(ETH, 1, venue="usdm"), quote(BTC, 2)]) == [True, True]


@pytest.mark.parametrize(("max_jump", "refused"), [(0.2, True), (0.5, False), (0.0, False)])
def test_the_bound_is_a_setting_and_zero_accepts_all(max_jump: float, *, refused: bool):
    reader, seqs = FrameReader(PlausibilityLimits(max_book_jump=max_jump)), count(1)
    outcomes = [
        reader.read(frame(event), "binance.x", next(seqs), METADATA.ingested_at_ns)
        for event in (sale(100, 0), quote(140, 1))
    ]
    assert isinstance(outcomes[1], RefusedFrame) is refused
    if isinstance(outcomes[1], RefusedFrame):
        assert outcomes[1].reason == "implausible_price"
        assert outcomes[1].detail.startswith("a book at 140 after a trade at 100, more than 20% away (MAX_BOOK_JUMP)")


@pytest.mark.parametrize(("max_lead_s", "refused"), [(60, True), (7200, False), (0, False)])
def test_how_far_a_clock_may_run_ahead_is_a_setting(max_lead_s: float, *, refused: bool):
    reader = FrameReader(PlausibilityLimits(max_clock_lead_s=max_lead_s))
    outcome = reader.read(frame(sale(100, 0)), "binance.x", 1, (TIME_MS - 3_600_000) * 1_000_000)
    assert isinstance(outcome, RefusedFrame) is refused


@pytest.mark.parametrize(("symbols", "refused"), [((), False), (("BTCUSDT",), False), (("ETHUSDT", "SOLUSDT"), True)])
def test_symbols_that_are_not_on_the_list_are_refused(symbols: tuple[str, ...], *, refused: bool):
    reader = FrameReader(PlausibilityLimits(symbols=symbols))
    for event in (sale(100, 0), quote(100, 1)):
        outcome = reader.read(frame(event), "binance.x", 1, METADATA.ingested_at_ns)
        if refused:
            assert outcome == RefusedFrame("symbol_not_allowed", "spot BTCUSDT is not in ALLOWED_SYMBOLS")
        else:
            assert isinstance(outcome, Trade | Depth)
