from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.counters import MAX_STREAMS, Counters, Distribution


def test_counts_stay_in_the_totals_and_are_unwritten_until_taken():
    counters = Counters()
    counters.add("frames")
    counters.add("frames", by=2)
    assert counters.take_unwritten().stored() == {"frames": 3}
    counters.add("refused", "not_json")
    assert counters.unwritten.stored() == {"refused:not_json": 1}
    assert counters.take_unwritten().stored() == {"refused:not_json": 1}
    assert counters.take_unwritten() == {}
    assert counters.totals.stored() == {"frames": 3, "refused:not_json": 1}


def test_what_was_taken_does_not_change_any_more():
    counters = Counters()
    counters.add("frames")
    taken = counters.take_unwritten()
    counters.add("frames")
    assert taken.stored() == {"frames": 1}


@given(st.lists(st.floats(-10, 100)))
def test_each_value_counts_once_in_the_first_bucket_whose_bound_reaches_it(values: list[float]):
    bounds = (0.0, 1.0, 50.0)
    distribution = Distribution(bounds)
    for value in values:
        distribution.add(value)
    edges = [float("-inf"), *bounds, float("inf")]
    wanted = [sum(low < value <= high for value in values) for low, high in pairwise(edges)]
    assert distribution.counts == wanted
    assert distribution.sum == sum(values)


def test_the_venues_of_a_publisher_that_invents_them_are_counted_as_one():
    counters = Counters()
    for number in range(2 * MAX_STREAMS):
        counters.event(f"venue-{number}", "trade")
    counters.event("venue-0", "trade")
    assert len(counters.events) == MAX_STREAMS + 1
    assert counters.events["other", "trade"] == MAX_STREAMS
    assert counters.events["venue-0", "trade"] == 2
    assert counters.totals.of("events") == 2 * MAX_STREAMS + 1
