"""Books out of level updates, against a market whose true book is known."""

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.books.sampler import BookSampler, SampledBook
from tests.support.books.market import Market

MS = 1_000_000
T0 = 1_763_793_009_000 * MS


def feed(sampler: BookSampler, time_ns: int, levels: list[tuple[Any, ...]], *, snapshot: bool = False) -> list[SampledBook]:  # fmt: skip
    """Give one message; return what was sampled before it."""
    return [
        book
        for side, price, quantity in levels
        if (book := sampler.update(time_ns, time_ns + 5, side, price, quantity, snapshot=snapshot))
    ]


def rows(bids: Any, asks: Any) -> list[tuple[Any, ...]]:
    return [("bid", *level) for level in bids] + [("ask", *level) for level in asks]


@given(seed=st.integers(0, 2**32), limit=st.sampled_from([4, 6, 1000]), interval_ms=st.sampled_from([0, 100, 250]))
def test_each_sample_is_the_true_book_of_its_time(seed, limit, interval_ms):
    """Also with snapshots between, of a market that has more levels than they hold."""
    dice, market = random.Random(seed), Market(seed)
    sampler = BookSampler(3, interval_ms)
    time_ns, books, truth = T0, [], {}
    for number in range(50):
        if number % 20 == 0:
            books += feed(sampler, time_ns, rows(*market.book(market.id).top(limit)), snapshot=True)
        else:
            diff = market.diff()
            books += feed(sampler, time_ns, rows(diff.b, diff.a))
        truth[time_ns] = market.id
        time_ns += dice.randint(1, 150) * MS
    books += [last] if (last := sampler.finish()) else []
    for book in books:
        known = market.history[truth[max(at for at in truth if at <= book.time_ns)]]
        assert [[float(price) for price, _ in side] for side in book.levels] == [
            [float(price) for price, _ in side] for side in known.top(3)
        ]
        assert book.received_ns == book.time_ns + 5
    times = [book.time_ns for book in books]
    assert all(later - earlier >= interval_ms * MS for earlier, later in itertools.pairwise(times))
    assert books


def test_what_changes_within_an_interval_comes_at_its_end():
    sampler = BookSampler(5, 100, whole_snapshots=True)
    feed(sampler, T0, [("bid", "1", "1"), ("ask", "2", "1")], snapshot=True)
    first = feed(sampler, T0 + 30 * MS, [("bid", "1", "3")])
    assert [book.time_ns for book in first] == [T0]
    # The market is quiet for a second: the change was known 100 ms after the first sample.
    (second,) = feed(sampler, T0 + 1000 * MS, [("bid", "1", "4")])
    assert (second.time_ns, second.levels.bids) == (T0 + 100 * MS, [("1", "3")])
    last = sampler.finish()
    assert last is not None
    assert (last.time_ns, last.levels.bids) == (T0 + 1000 * MS, [("1", "4")])
    assert sampler.finish() is None


def test_a_snapshot_replaces_the_whole_book():
    sampler = BookSampler(5, 0, whole_snapshots=True)
    feed(sampler, T0, [("bid", 1.0, 1.0), ("ask", 4.0, 1.0)], snapshot=True)
    feed(sampler, T0 + MS, [("bid", 2.0, 1.0), ("ask", 3.0, 1.0)], snapshot=True)
    last = sampler.finish()
    assert last is not None
    assert last.levels == ([(2.0, 1.0)], [(3.0, 1.0)])


def test_incomplete_books_are_withheld_and_counted():
    sampler = BookSampler(2, 0)
    feed(sampler, T0, [("bid", "1", "1"), ("ask", "2", "1")])
    feed(sampler, T0 + MS, [("bid", "1", "1"), ("ask", "2", "1")], snapshot=True)
    assert sampler.finish() is None
    assert sampler.unproved == 2
    sampler.clear()
    feed(sampler, T0 + 2 * MS, [("bid", "1", "1"), ("ask", "2", "1")])
    assert sampler.finish() is None
    assert sampler.unproved == 3


def test_a_file_without_snapshots_begins_with_an_empty_book_on_demand():
    sampler = BookSampler(2, 0, whole_snapshots=True)
    feed(sampler, T0, [("bid", "1", "1"), ("ask", "2", "1")])
    assert sampler.finish() is not None


def test_books_that_cross_are_withheld_and_counted():
    sampler = BookSampler(2, 0, whole_snapshots=True)
    feed(sampler, T0, [("bid", "2", "1"), ("ask", "2", "1")])
    assert sampler.finish() is None
    assert sampler.crossed == 1


def test_a_level_that_is_none_is_refused_and_the_rest_goes_on():
    sampler = BookSampler(2, 0, whole_snapshots=True)
    feed(sampler, T0, [("bid", "1", "1"), ("ask", "2", "1")])
    with pytest.raises(ValueError, match="no price level"):
        sampler.update(T0, T0 + 5, "bid", "-1", "1")
    last = sampler.finish()
    assert last is not None
    assert last.levels.bids == [("1", "1")]
