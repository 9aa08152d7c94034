"""depth_pressure: the exponentially weighted mean of the book's imbalance."""

from collections.abc import Iterable
from math import exp

import pytest

from tasks.events import Depth
from tasks.strategies.depth_pressure import DepthPressure, DepthPressureState
from tests.support.events import TIME_MS, actions, book, feed, play


def at(seconds: float, imbalance: float) -> Depth:
    """A book of one level a side: (1 + i)/2 against (1 - i)/2 is an imbalance of i."""
    time_ms = TIME_MS + round(seconds * 1000)
    return book([(1999.0, (1 + imbalance) / 2)], [(2001.0, (1 - imbalance) / 2)], time_ms=time_ms)


def mean(events: Iterable[Depth]) -> float:
    strategy, state = DepthPressure.create({}), DepthPressureState()
    for event in events:
        feed(strategy, event, state)
    return state.mean


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([at(0, 0.8)], 0.0, id="a first book stands for no time"),
        pytest.param([at(0, 0), at(1, 0.8)], 0.8 * (1 - exp(-0.1)), id="1 s of 10"),
        pytest.param([at(0, 0), at(60, 0.8)], 0.8 * (1 - exp(-0.1)), id="a hole counts as 1 s"),
        pytest.param([at(0, 0), at(1, 0.8), at(0.5, -1)], 0.8 * (1 - exp(-0.1)), id="a step back counts as none"),
        pytest.param(
            [at(0, 0), at(0.5, 0.8), at(1, 0.8)], 0.8 * (1 - exp(-0.1)), id="the pace of the books does not matter"
        ),
    ],
)
def test_the_mean_follows_the_imbalance_with_a_time_constant_of_10_s(events, expected):
    assert mean(events) == pytest.approx(expected)


def test_a_clock_that_ran_back_far_goes_on_from_the_new_time():
    assert mean([at(100, 0), at(0, 0.8), at(1, 0.8)]) == pytest.approx(0.8 * (1 - exp(-0.1)))


def test_a_level_counts_less_the_more_spreads_off_it_is():
    # Spread 2. Bids: 1 at the best, 4 one spread below: 1 + 4/2 = 3; asks: 1. (3 - 1)/(3 + 1) = 0.5
    books = [book([(1999.0, 1.0), (1997.0, 4.0)], time_ms=TIME_MS + n * 100) for n in range(200)]
    (signal,) = [signal for signals in play(DepthPressure.create({}), books) for signal in signals]
    assert signal.indicators["imbalance"] == pytest.approx(0.5)


def test_pressure_signals_at_the_best_price():
    """The mean and the book of the moment are in its confidence."""
    up = [at(n / 10, 0.8) for n in range(100)]
    (bought,) = [signal for signals in play(DepthPressure.create({}), up) for signal in signals]
    (sold,) = [s for signals in play(DepthPressure.create({}), [at(n / 10, -0.8) for n in range(100)]) for s in signals]
    # 0.8 (1 - exp(-t/10)) > 0.3 first at t = 4.8 s (4.70 s is the crossing): mean 0.305.
    expected = 0.8 * (1 - exp(-0.48))
    assert bought.indicators["mean"] == pytest.approx(expected, abs=0.006)
    assert bought.confidence == pytest.approx(0.55 + (bought.indicators["mean"] + 0.8) / 4)
    assert (bought.action, bought.price, bought.current_price) == ("buy", 1999.0, 2000.0)
    assert (sold.action, sold.price) == ("sell", 2001.0)
    assert sold.confidence == pytest.approx(bought.confidence)


@pytest.mark.parametrize(
    ("back_s", "said"),
    [
        # The mean is 0.51 after 10 s of 0.8. Then books of -0.1: (0.51 + 0.1) exp(-t/10) - 0.1 < 0.15 after 8.8 s.
        (8, ["buy"]),
        (10, ["buy", "buy"]),
    ],
)
def test_a_side_holds_until_the_mean_is_within_half_of_the_threshold(back_s, said):
    course = [0.8] * 100 + [-0.1] * (back_s * 10) + [0.8] * 100
    books = [at(n / 10, imbalance) for n, imbalance in enumerate(course)]
    assert [action for action in actions(DepthPressure.create({}), books) if action] == said


def test_warm_up_is_ten_seconds_of_books():
    assert DepthPressure.create({}).warmup == 100
