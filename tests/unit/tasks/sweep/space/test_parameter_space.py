"""All sets of one strategy."""

import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.space import parameter_space
from tasks.sweep.space.dimensions import Choices, Interval, Steps
from tasks.sweep.space.parameter_space import ParameterSpace


def space_of(*counts: int) -> ParameterSpace:
    return ParameterSpace("it", tuple(Steps(f"p{at}", 0, 1, count) for at, count in enumerate(counts)))


def everything(_: ParameterSet) -> bool:
    return True


SPACES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(lambda counts: space_of(*counts))


def test_the_last_parameter_of_a_grid_changes_fastest():
    space = ParameterSpace("it", (Choices("b", (2, 1)), Choices("a", ("x", "y"))))
    assert [each.parameters for each in space.grid()] == [
        {"b": 2, "a": "x"},
        {"b": 2, "a": "y"},
        {"b": 1, "a": "x"},
        {"b": 1, "a": "y"},
    ]


@given(SPACES)
def test_a_grid_has_the_product_of_its_dimensions_each_set_once(space):
    sets = list(space.grid())
    assert len(sets) == space.size == math.prod(each.count for each in space.dimensions)
    assert len({each.canonical() for each in sets}) == len(sets)


def test_a_space_with_an_interval_has_no_size():
    space = ParameterSpace("it", (Choices("a", (1, 2)), Interval("b", 0.0, 1.0)))
    assert space.size is None
    assert ParameterSpace("it", (Choices("a", (1, 2)), Interval("b", 1, 5, whole=True))).size == 10


@given(SPACES, st.integers(1, 700), st.integers())
def test_a_sample_has_no_set_twice_and_ends_when_all_were_drawn(space, samples, seed):
    found = space.sample(samples, everything, Random(seed))
    assert len({each.canonical() for each in found}) == len(found) == min(samples, space.size)
    assert {each.canonical() for each in found} <= {each.canonical() for each in space.grid()}


@given(SPACES, st.integers(1, 20), st.integers())
def test_the_same_seed_gives_the_same_sets_and_more_begin_with_them(space, samples, seed):
    few = space.sample(samples, everything, Random(seed))
    assert few == space.sample(samples, everything, Random(seed))
    assert space.sample(samples + 5, everything, Random(seed))[: len(few)] == few


@given(SPACES, st.integers())
def test_a_sample_finds_each_set_that_is_accepted(space, seed):
    def accepts(tried: ParameterSet) -> bool:
        return sum(map(int, tried.parameters.values())) % 3 == 0

    found = space.sample(1_000, accepts, Random(seed))
    assert {each.canonical() for each in found} == {each.canonical() for each in space.grid() if accepts(each)}


def test_the_same_seed_draws_the_same_from_an_interval_today_and_tomorrow():
    space = ParameterSpace("it", (Choices("a", ("x", "y")), Interval("b", 0.0, 1.0), Interval("c", 1, 9, whole=True)))
    drawn = space.sample(3, everything, Random("1:it"))
    assert [tuple(each.parameters.values()) for each in drawn] == [
        ("y", 0.490673, 9),
        ("x", 0.78348, 9),
        ("y", 0.742204, 2),
    ]


def test_a_huge_space_is_sampled_without_being_made():
    space = space_of(*[10**9] * 3)
    assert len(space.sample(10, everything, Random(1))) == 10


def test_a_search_that_nothing_satisfies_ends():
    draws = []

    def accepts(tried: ParameterSet) -> bool:
        draws.append(tried)
        return False

    assert space_of(10**9).sample(10, accepts, Random(1)) == []
    assert len(draws) <= parameter_space.MAX_DRAWS
