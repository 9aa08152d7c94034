"""spread_liquidity: spread, velocity and depth against the 19 books before."""

from collections.abc import Iterable

import pytest

from tasks.events import Depth
from tasks.strategies.spread_liquidity import SpreadLiquidity, SpreadLiquidityState
from tests.support.events import TIME_MS, actions, book, feed, play

#: A floor of 10 bps and episodes of 30 s: round numbers for the books below.
TEN_BPS: dict[str, float] = {"wide_bps": 10, "min_episode_s": 30}


def at(seconds: float, spread: float = 1.0, depth: float = 20.0, mid: float = 2000.0) -> Depth:
    """A book `seconds` after the start; a spread of 2 is 10 bps of mid 2000; `depth` is the sum of both sides."""
    half = spread / 2
    return book([(mid - half, depth / 2)], [(mid + half, depth / 2)], time_ms=TIME_MS + round(seconds * 1000))


def calm(spread: float = 1.0, mid: float = 2000.0) -> list[Depth]:
    """19 books of depth 20, every 0.2 s, from 0.0 s to 3.6 s."""
    return [at(0.2 * number, spread, mid=mid) for number in range(19)]


def steady(start_s: float, end_s: float, spread: float) -> list[Depth]:
    """A book every 0.1 s, the one of `end_s` left out."""
    return [at(start_s + number / 10, spread) for number in range(round((end_s - start_s) * 10))]


def spoken(events: Iterable[Depth]) -> list[str]:
    return [action for action in actions(SpreadLiquidity.create(TEN_BPS), events) if action]


# After `calm`, at 4 s: mean spread 1, mean depth 20, oldest spread 1, 4 s ago.
def test_liquidity_that_leaves_is_sold():
    *_, (signal,) = play(SpreadLiquidity.create(TEN_BPS), [*calm(), at(4, spread=4, depth=8)])
    # ratio 4/1; velocity (4 - 1)/1/4 = 0.75; reduction 1 - 8/20 = 0.6
    assert signal.indicators == pytest.approx(
        {"spread_bps": 20.0, "spread_ratio": 4.0, "spread_velocity_per_s": 0.75, "depth_reduction": 0.6}
    )
    # 0.70 + 0.10 * 0.75 + 0.15 * 0.6 = 0.865; stop 2000 + 2 * 4, target 2000 - 4 * 4
    assert signal.action == "sell"
    assert signal.confidence == pytest.approx(0.79 + 0.10 * 0.75 / 1.75)
    assert (signal.price, signal.current_price) == (2000.0, 2000.0)
    assert (signal.stop_loss, signal.take_profit) == (2008.0, 1984.0)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (at(4, spread=3.25, depth=8), "sell"),  # velocity 2.25/4 = 0.5625, ratio 3.25, reduction 0.6
        (at(3.9, spread=3, depth=8), ""),  # ratio 3 exactly; velocity 2/3.9 = 0.51
        (at(6, spread=4, depth=8), ""),  # velocity 3/6 = 0.5 exactly
        (at(4, spread=4, depth=10), ""),  # reduction 1 - 10/20 = 0.5 exactly
        (at(0, spread=4, depth=8), ""),  # no time since the oldest book: velocity 0
        (at(-1, spread=4, depth=8), ""),  # time ran backwards: velocity 0
    ],
)
def test_liquidity_leaves_only_when_all_three_limits_are_passed(last, said):
    assert actions(SpreadLiquidity.create(TEN_BPS), [*calm(), last])[-1] == said


def test_a_sells_confidence_grows_with_velocity_and_stays_below_its_bound():
    *_, (signal,) = play(SpreadLiquidity.create(TEN_BPS), [*calm(), at(4, spread=40, depth=8)])
    # velocity 39/4 = 9.75: 0.70 + 0.10 * 9.75/10.75 + 0.15 * 0.6
    assert signal.confidence == pytest.approx(0.70 + 0.10 * 9.75 / 10.75 + 0.09)


def test_a_spread_below_the_floor_is_not_sold_however_fast_it_grew():
    # 4/2000 = 20 bps, which a floor of 20 does not let pass.
    events = [*calm(), at(4, spread=4, depth=8)]
    assert actions(SpreadLiquidity.create(TEN_BPS | {"wide_bps": 20}), events)[-1] == ""


def test_liquidity_that_keeps_leaving_is_sold_once_and_again_after_a_pause():
    leaving = [at(4.0, 4, 8), at(4.1, 8, 4), at(4.2, 1, 20), at(4.3, 16, 2)]
    assert actions(SpreadLiquidity.create(TEN_BPS), [*calm(), *leaving])[19:] == ["sell", "", "", "sell"]


def test_a_target_that_would_be_below_zero_is_left_out():
    # mid 10, spread 4: target 10 - 16 = -6
    *_, (signal,) = play(SpreadLiquidity.create(TEN_BPS), [*calm(mid=10.0), at(4, spread=4, depth=8, mid=10.0)])
    assert (signal.stop_loss, signal.take_profit) == (18.0, None)


# An episode: spread 1, then 8 (40 bps; ratio 8) from 2 s on, then 0.25. At the snap the oldest of the history is 1.9 s
# old and still 8 wide: change (0.25 - 8)/8 = -0.969.
def test_a_long_wide_spread_that_snaps_back_is_bought():
    events = [*steady(0, 2, 1), *steady(2, 62, 8), at(62, 0.25)]
    *silence, (signal,) = play(SpreadLiquidity.create(TEN_BPS), events)
    assert not any(silence)
    # 60 s old: 0.70 + 60/60 * 0.10 = 0.80; stop 2000 - 2 * 0.25, target 2000 + 4 * 0.25
    assert signal.action == "buy"
    assert signal.confidence == pytest.approx(0.80)
    assert (signal.price, signal.stop_loss, signal.take_profit) == (2000.0, 1999.5, 2001.0)
    assert signal.indicators["episode_s"] == 60
    assert signal.indicators["spread_velocity_per_s"] == pytest.approx(-7.75 / 8 / 1.9)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        pytest.param([*steady(0, 2, 1), *steady(2, 32.1, 8), at(32.1, 0.25)], ["buy"], id="30.1 s old"),
        pytest.param([*steady(0, 2, 1), *steady(2, 32, 8), at(32, 0.25)], [], id="30 s old exactly"),
        pytest.param([*steady(0, 2, 1), *steady(2, 62, 8), at(62, 4)], [], id="change (4 - 8)/8 = -0.5 exactly"),
        pytest.param([*steady(0, 2, 0.25), *steady(2, 62, 2), at(62, 0.0625)], [], id="2/2000 = 10 bps is never wide"),
        pytest.param([*steady(0, 2, 1), *steady(2, 62, 8), at(59, 18)], [], id="time ran backwards: velocity 0"),
        pytest.param(
            [*steady(0, 2, 1), *steady(3602, 3605, 8), *steady(5, 35.2, 8), at(35.2, 0.25)],
            ["buy"],
            id="begun by a clock an hour ahead: as old as since that was set right",
        ),
        pytest.param(
            [*steady(0, 2, 1), *steady(2, 62, 8), at(62, 0.25), at(62.1, 0.25), at(62.2, 0.25)], ["buy"], id="only once"
        ),
    ],
)
def test_an_episode_must_be_wide_long_and_end_fast(events, said):
    assert spoken(events) == said


@pytest.mark.parametrize(("narrow_books", "said"), [(19, ["buy"]), (20, [])])
def test_twenty_narrow_books_in_a_row_end_an_episode(narrow_books, said):
    # Wide for 8 s, narrow for a while, wide again for 30 s less a bit: old enough only when it is still the first episode.
    back_s = 10 + narrow_books / 10
    events = [*steady(0, 2, 1), *steady(2, 10, 8), *steady(10, back_s, 1), *steady(back_s, 38, 8), at(38, 0.25)]
    assert spoken(events) == said


@pytest.mark.parametrize(("spread", "said"), [(2.5, ""), (2.75, "buy")])
def test_a_ratio_of_just_two_and_a_half_is_not_wide(spread, said):
    # The 19 wide books are the whole history, and too few to end an episode: (0.0625 - spread)/spread < -0.5.
    events = [*steady(0, 2, 1), *steady(2, 3.9, spread), at(3.9, 0.0625)]
    assert actions(SpreadLiquidity.create(TEN_BPS | {"min_episode_s": 1}), events)[-1] == said


@pytest.mark.parametrize(("spread", "said"), [(1.5, ""), (1.25, "buy")])
def test_a_spread_that_is_still_wide_beside_the_last_books_is_not_normal(spread, said):
    # Before the last book: 8 and 18 times 0.125, mean 0.539. Change (1.5 - 8)/8 = -0.81, ratio 2.78; or -0.84 and 2.32.
    wide = [at(second, 8) for second in range(6, 36, 2)]
    events = [at(0), at(2), at(4), *wide, *[at(35.9, 0.125)] * 18, at(36.1, spread)]
    assert actions(SpreadLiquidity.create(TEN_BPS), events)[-1] == said


def test_a_wide_book_restarts_the_count_of_narrow_ones():
    shaky = [*steady(10, 11.5, 1), *steady(11.5, 12, 8), *steady(12, 13.5, 1)]  # 15 narrow, 5 wide, 15 narrow
    assert spoken([*steady(0, 2, 1), *steady(2, 10, 8), *shaky, *steady(13.5, 38, 8), at(38, 0.25)]) == ["buy"]


@pytest.mark.parametrize(
    ("normal", "wide", "settled"),
    [
        pytest.param(0.25, 8, 1.5, id="1.5/2000 = 7.5 bps, six times the normal"),
        pytest.param(5, 40, 6, id="6/2000 = 30 bps, 1.2 times the normal"),
    ],
)
def test_a_book_is_narrow_near_its_normal_or_within_ten_basis_points(normal, wide, settled):
    events = [*steady(0, 2, normal), *steady(2, 10, wide), *steady(10, 13, settled), *steady(13, 38, wide)]
    assert spoken([*events, at(38, wide / 32)]) == []


def test_the_confidence_of_a_buy_grows_with_age_up_to_080():
    wide = [at(second, 8) for second in range(2, 500)]
    *_, (signal,) = play(
        SpreadLiquidity.create(TEN_BPS), [*steady(0, 2, 1), *wide, *steady(500, 502, 8), at(502, 0.25)]
    )
    assert signal.confidence == pytest.approx(0.80)  # 0.70 + min(0.10, 500/60 * 0.10)


def test_depth_is_the_best_five_levels_of_both_sides():
    bids = [(1999.0 - level, 1.0) for level in range(5)] + [(1990.0, 1000.0)]
    asks = [(2001.0 + level, 2.0) for level in range(5)] + [(2010.0, 1000.0)]
    state = SpreadLiquidityState()
    feed(SpreadLiquidity.create(TEN_BPS), book(bids, asks), state)
    assert state.depths == [15]


def test_the_state_holds_the_history_but_for_the_present_book():
    strategy, state = SpreadLiquidity.create(TEN_BPS | {"history": 3}), SpreadLiquidityState()
    for number in range(5):
        feed(strategy, at(number, spread=1 + number, depth=10 + number), state)
    assert state.spreads == [4, 5]
    assert state.depths == [13, 14]
    assert state.times_ms == [TIME_MS + 3_000, TIME_MS + 4_000]
    assert strategy.warmup == 2


def test_it_waits_a_minute_between_two_signals_unless_told_otherwise():
    assert SpreadLiquidity.create(TEN_BPS).params.min_signal_interval_s == 60
    assert SpreadLiquidity.create(TEN_BPS | {"min_signal_interval_s": 1}).params.min_signal_interval_s == 1
    assert SpreadLiquidity.create(TEN_BPS).warmup == 19
