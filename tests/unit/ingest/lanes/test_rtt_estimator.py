import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.lanes.rtt_estimator import TIMEOUT_BOUNDS, RttEstimator, TimeoutBounds


def test_before_the_first_sample_it_waits_the_least_time():
    assert RttEstimator().timeout_s(1) == TIMEOUT_BOUNDS.min_s


def test_a_slow_lane_is_given_its_mean_and_four_deviations():
    trip = RttEstimator()
    trip.sample(1.0)  # smoothed 1, deviation 0.5: 1 + 4 * 0.5 = 3
    assert trip.timeout_s(1) == pytest.approx(3.0)
    trip.sample(2.0)  # deviation 0.5 + (1 - 0.5) / 4 = 0.625, smoothed 1 + 1/8 = 1.125: 1.125 + 2.5 = 3.625
    assert trip.timeout_s(1) == pytest.approx(3.625)


def test_each_try_waits_twice_as_long_up_to_ten_seconds():
    assert [RttEstimator().timeout_s(tries) for tries in (1, 2, 3, 4, 5, 50)] == [1, 2, 4, 8, 10, 10]
    sooner = RttEstimator(TimeoutBounds(min_s=0.5, max_s=1.5))
    assert [sooner.timeout_s(tries) for tries in (1, 2, 3)] == [0.5, 1.0, 1.5]


@given(st.lists(st.floats(0, 1e6), max_size=30), st.integers(1, 1000))
def test_the_timeout_never_leaves_its_bounds(samples: list[float], tries: int):
    trip = RttEstimator()
    for seconds in samples:
        trip.sample(seconds)
    assert TIMEOUT_BOUNDS.min_s <= trip.timeout_s(tries) <= TIMEOUT_BOUNDS.max_s
