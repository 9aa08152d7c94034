"""price_velocity: the change of the price within 60 s."""

import pytest

from tasks.events import Trade
from tasks.strategies.price_velocity import PriceVelocity, PriceVelocityState
from tests.support.events import TIME_MS, actions, feed, play, trade


def at(seconds: float, price: float) -> Trade:
    return trade(price, time_ms=TIME_MS + round(seconds * 1000))


def ramp(to: float, start: float = 100.0) -> list[Trade]:
    """61 trades a second apart, from `start` in a straight line: exactly a window."""
    return [at(second, start + (to - start) * second / 60) for second in range(61)]


@pytest.mark.parametrize(
    ("to", "action", "confidence"),
    [
        (100.5, "buy", 0.60 + 0.05 + 0.25),  # 0.5 % in a minute, in a straight line: 0.60 + 0.5/10 + 1/4
        (99.5, "sell", 0.60 + 0.05 + 0.25),
        (102.0, "buy", 0.95),  # 0.60 + 0.2 + 0.25, at most 0.95
    ],
)
def test_a_price_that_moved_fast_for_a_minute_signals(to, action, confidence):
    *silence, (signal,) = play(PriceVelocity.create({}), ramp(to))
    assert not any(silence)
    assert signal.action == action
    assert signal.confidence == pytest.approx(confidence)
    assert signal.price == signal.current_price == to
    assert signal.indicators["velocity"] == pytest.approx(to - 100)


@pytest.mark.parametrize(
    ("events", "params"),
    [
        pytest.param(ramp(100.25), {}, id="0.25 % exactly is not above"),
        pytest.param(ramp(101.0)[:-1], {}, id="a window is not full after 59 s"),
        pytest.param([at(0, 100), at(10, 101), at(30, 101), at(60, 101)], {}, id="the second half stood still"),
        pytest.param([at(0, 100), at(20, 102), at(60, 101)], {}, id="the second half went back"),
        pytest.param(
            [at(second, 100 + second / 75) for second in range(7)], {"window_s": 6}, id="0.8 % a minute, 0.08 % at all"
        ),
    ],
)
def test_a_slow_small_or_ended_move_says_nothing(events, params):
    assert not any(actions(PriceVelocity.create(params), events))


def test_the_confidence_is_lower_the_more_crooked_the_way():
    # Up 2, down 1, up 1: the change of 2 took a way of 4. Velocity 2 %: 0.60 + 0.2 + 0.5/4.
    *_, (signal,) = play(PriceVelocity.create({}), [at(0, 100), at(20, 102), at(30, 101), at(60, 102)])
    assert signal.indicators["straight"] == pytest.approx(0.5)
    assert signal.confidence == pytest.approx(0.925)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ([100.4, 100.2, 100.4], ["buy", "", ""]),  # 0.2 is within 0.25, and above half of it
        ([100.4, 100.1, 100.4], ["buy", "", "buy"]),  # 0.1 is below 0.125
        ([100.4, 99.6], ["buy", "sell"]),
    ],
)
def test_a_side_holds_until_the_velocity_is_within_half_of_the_threshold(prices, said):
    events = [at(0, 100), at(20, 100), at(60, prices[0]), *(at(60, price) for price in prices[1:])]
    assert actions(PriceVelocity.create({}), events)[2:] == said


def test_the_price_a_window_ago_is_the_last_one_at_or_before_it():
    # 75 s - 60 s = 15 s: the trade of 10 s counts, not that of 20 s.
    *_, (signal,) = play(PriceVelocity.create({}), [at(0, 90), at(10, 100), at(20, 104), at(40, 100), at(75, 101)])
    assert signal.indicators["change"] == pytest.approx(1.0)


@pytest.mark.parametrize(("back_s", "seconds"), [(59, [0, 60]), (60, [0])])
def test_a_step_back_counts_as_the_newest_second_and_a_long_one_restarts(back_s, seconds):
    strategy, state = PriceVelocity.create({}), PriceVelocityState()
    for event in (at(0, 100), at(60, 101), at(60 - back_s, 102)):
        feed(strategy, event, state)
    assert state.seconds == [TIME_MS // 1000 + second for second in seconds]
    assert state.prices[-1] == 102


def test_the_state_holds_a_price_a_second_within_the_window():
    strategy, state = PriceVelocity.create({"window_s": 3}), PriceVelocityState()
    for number in range(20):
        feed(strategy, at(number / 2, 100 + number), state)
    assert state.prices == [113, 115, 117, 119]
