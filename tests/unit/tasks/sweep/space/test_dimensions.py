"""Values of one parameter."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.sweep.space.dimensions import Choices, Interval, RangeSpec, Steps, of_range


def values(spec: RangeSpec, *, whole: bool = False) -> list[float]:
    dimension = of_range("x", spec, whole=whole, continuous=False)
    assert dimension.count is not None
    return [dimension.at(index) for index in range(dimension.count)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (RangeSpec(0.5, 2.0, 0.5), [0.5, 1.0, 1.5, 2.0]),
        (RangeSpec(0.1, 0.7, 0.1), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (RangeSpec(1, 10, 4), [1, 5, 9]),
        (RangeSpec(1, 2, 0.5), [1.0, 1.5, 2.0]),
        (RangeSpec(3, 3, 1), [3]),
        (RangeSpec(0.0, 1.0, points=5), [0.0, 0.25, 0.5, 0.75, 1.0]),
        (RangeSpec(0, 0.3, points=4), [0.0, 0.1, 0.2, 0.3]),
        (RangeSpec(1e-4, 1e-1, points=4, log=True), [0.0001, 0.001, 0.01, 0.1]),
        (RangeSpec(2, 2, points=4), [2]),
    ],
)
def test_a_range_has_both_ends_and_no_drift(spec, expected):
    found = values(spec)
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (RangeSpec(1, 4), [1, 2, 3, 4]),
        (RangeSpec(1.0, 5.0, 2.0), [1, 3, 5]),
        (RangeSpec(1, 1000, points=4, log=True), [1, 10, 100, 1000]),
        (RangeSpec(1, 3, points=9), [1, 2, 3]),
    ],
)
def test_a_whole_parameter_gets_whole_numbers_each_once(spec, expected):
    found = values(spec, whole=True)
    assert found == expected
    assert {type(each) for each in found} == {int}


@pytest.mark.parametrize(
    ("spec", "whole", "said"),
    [
        (RangeSpec(1.0, 2.0), False, "give the range a step, or points"),
        (RangeSpec(1, 9, log=True), True, "give the range points"),
        (RangeSpec(0.5, 9), True, "`from` and `to` must be too"),
    ],
)
def test_a_grid_has_to_know_how_far_apart(spec, whole, said):
    with pytest.raises(ValueError, match=said):
        of_range("x", spec, whole=whole, continuous=False)


def test_steps_are_counted_without_being_made():
    dimension = of_range("x", RangeSpec(0, 1e300, 1e-300), whole=False, continuous=False)
    assert isinstance(dimension, Steps)
    assert dimension.count == 10**600 + 1


@given(st.decimals(-1000, 1000, places=3), st.decimals("0.001", 100, places=3), st.integers(0, 500), st.data())
def test_each_step_is_the_number_that_a_person_would_write(start, step, last, data):
    spec = RangeSpec(float(start), float(start + last * step), float(step))
    dimension = of_range("x", spec, whole=False, continuous=False)
    assert dimension.count == last + 1
    index = data.draw(st.integers(0, last))
    assert dimension.at(index) == float(start + index * step)


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.booleans(), st.booleans(), st.integers())
def test_what_is_drawn_lies_between_the_ends(low, width, log, whole, seed):
    low = abs(low) + 1 if log else low
    dimension = of_range("x", RangeSpec(low, low + width, log=log), whole=whole, continuous=True)
    drawn = [dimension.draw(Random(seed + each)) for each in range(5)]
    assert all(low <= each <= low + width for each in drawn)
    assert not whole or {type(each) for each in drawn} == {int}


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers())
def test_an_interval_of_any_width_can_be_drawn_from(one, other, seed):
    low, high = sorted((one, other))
    assert low <= Interval("x", low, high).draw(Random(seed)) <= high


def test_on_a_log_scale_each_factor_is_as_likely():
    dimension = Interval("x", 1, 10_000, log=True)
    dice = Random(1)
    below = sum(dimension.draw(dice) < 100 for _ in range(2_000))
    assert 900 < below < 1_100


def test_the_ends_of_a_whole_log_scale_are_drawn_too():
    dice = Random(1)
    dimension = Interval("x", 1, 3, log=True, whole=True)
    assert {dimension.draw(dice) for _ in range(200)} == {1, 2, 3}


def test_what_is_drawn_is_short_to_read():
    drawn = Interval("x", 0.5, 2.0).draw(Random(1))
    assert len(repr(drawn)) <= 8
    assert len(repr(Interval("x", 1e-4, 1e-1, log=True).draw(Random(1)))) <= 12


def test_choices_and_steps_draw_what_they_have():
    dice = Random(1)
    assert {Choices("x", ("a", "b")).draw(dice) for _ in range(50)} == {"a", "b"}
    assert {Steps("x", 0.1, 0.1, 3).draw(dice) for _ in range(50)} == {0.1, 0.2, 0.3}
