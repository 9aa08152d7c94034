"""The local book against a market whose true book is known at every id."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.books import LocalOrderBook
from tasks.books.diffs import Diff, Snapshot, TextLevel
from tasks.books.local_book import MAX_WAITING, RESTART_MS, Outcome
from tasks.books.order_book import Number, TopLevels
from tests.support.books.market import Market, combined

VENUES = ("spot", "usdm")
any_venue = pytest.mark.parametrize("venue", VENUES)


def numbers(book: TopLevels | tuple[list[TextLevel], list[TextLevel]]) -> list[list[tuple[float, Number]]]:
    """A book's numbers: a diff may write a price with other zeros than the snapshot."""
    return [[(float(price), quantity) for price, quantity in side] for side in book]


def assert_true(local: LocalOrderBook, market: Market, levels: int) -> bool:
    """Assert that what the book says of its best levels is so; return whether it says anything."""
    top = local.top(levels)
    if top is None:
        return False
    assert local.id is not None
    assert numbers(top) == numbers(market.book(local.id).top(levels))
    return True


def seeded(market: Market, limit: int = 1000) -> LocalOrderBook:
    local = LocalOrderBook()
    assert local.seed(market.snapshot(limit)) is Outcome.APPLIED
    return local


@any_venue
@given(seed=st.integers(0, 2**32), limit=st.sampled_from([3, 5, 8, 1000]), levels=st.sampled_from([1, 3, 5]))
def test_a_book_says_the_truth_at_every_id_or_says_gap(venue, seed, limit, levels):
    """Diffs are lost, repeated, late, or cut otherwise; snapshots are old, or come while the book goes on."""
    dice, market, local = random.Random(seed), Market(seed, venue), LocalOrderBook()
    past = [market.diff()]
    local.apply(past[0])
    untold: list[Diff] = []
    for _ in range(60):
        past.append(market.diff(dice.randint(1, 6)))
        if (luck := dice.random()) < 0.1:
            local.refresh()
            local.seed(market.snapshot(limit, max(past[0].u, market.id - dice.randint(0, 30))))
        told = past[-2:] if luck < 0.2 else [dice.choice(past)] if luck < 0.35 else past[-1:]
        untold = [diff for diff in [*untold, past[-1]] if diff not in told]
        before = local.id
        if local.apply(combined(*told)).lost:
            assert before is not None
            assert any(before < diff.u for diff in untold)
        assert_true(local, market, levels)


@any_venue
@given(seed=st.integers(0, 2**32), before=st.integers(1, 5), behind=st.integers(0, 3))
def test_without_a_loss_a_whole_book_is_true_at_every_id(venue, seed, before, behind):
    """The snapshot is as old as any of the diffs that wait, or newer than all of them."""
    market, local = Market(seed, venue), LocalOrderBook()
    waiting = [market.diff() for _ in range(before)]
    assert {local.apply(diff) for diff in waiting} == {Outcome.WAITING}
    missed = [market.diff() for _ in range(behind)]
    at = random.Random(seed).choice([diff.u for diff in waiting] + [market.id, waiting[0].after])
    assert local.seed(market.snapshot(1000, at)) is Outcome.APPLIED
    for diff in [*missed, *(market.diff() for _ in range(20))]:
        assert local.apply(diff) in {Outcome.APPLIED, Outcome.REPEAT}
        assert assert_true(local, market, 5)
    assert local.id == market.id
    assert local.last is not None
    assert local.last.u == market.id


@any_venue
def test_a_diff_that_follows_a_lost_one_is_a_gap(venue):
    market = Market(1, venue)
    local = seeded(market)
    assert local.apply(market.diff()) is Outcome.APPLIED
    market.diff()
    assert local.apply(market.diff()) is Outcome.GAP
    assert (local.synced, local.top(1), local.last, local.id) == (False, None, None, None)


@any_venue
def test_a_snapshot_older_than_the_diffs_that_wait_is_refused(venue):
    market, local = Market(1, venue), LocalOrderBook()
    old = market.snapshot(1000)
    market.diff()
    local.apply(market.diff())
    assert local.seed(old) is Outcome.GAP
    assert not local.synced
    # A newer one is taken: the diff has waited on.
    assert local.seed(market.snapshot(1000, market.id - 1)) is Outcome.APPLIED
    assert local.id == market.id
    assert assert_true(local, market, 5)


def test_the_documented_first_diff_of_futures_is_taken():
    """One that ends at the snapshot's id: the next one names it as the one before."""
    market = Market(1, "usdm")
    first = market.diff()
    local = LocalOrderBook()
    local.apply(first)
    assert local.seed(market.snapshot(1000, first.u)) is Outcome.APPLIED
    assert local.apply(market.diff()) is Outcome.APPLIED
    assert assert_true(local, market, 5)


@any_venue
def test_a_book_goes_on_while_a_newer_snapshot_is_fetched(venue):
    market = Market(1, venue)
    local = seeded(market)
    local.refresh()
    assert local.apply(market.diff()) is Outcome.APPLIED
    late = market.snapshot(1000)
    assert local.apply(market.diff()) is Outcome.APPLIED
    assert local.seed(late) is Outcome.APPLIED
    assert local.id == market.id
    assert assert_true(local, market, 5)


@any_venue
def test_a_snapshot_that_is_ahead_waits_for_its_diffs(venue):
    market, local = Market(1, venue), LocalOrderBook()
    diffs = [market.diff() for _ in range(4)]
    local.apply(diffs[0])
    assert local.seed(market.snapshot(1000, diffs[2].u)) is Outcome.APPLIED
    assert local.last is None
    assert [local.apply(diff) for diff in diffs[1:]] == [Outcome.REPEAT, Outcome.REPEAT, Outcome.APPLIED]


@any_venue
def test_lower_ids_for_a_minute_mean_restarted_ids(venue):
    local = seeded(Market(1, venue, first_id=10**9))
    again = Market(2, venue)
    first = again.diff()
    assert local.apply(first) is Outcome.REPEAT
    later = msgspec.structs.replace(again.diff(), E=first.E + RESTART_MS + 1)
    assert local.apply(later) is Outcome.RESTARTED
    assert local.seed(again.snapshot(1000)) is Outcome.APPLIED
    assert local.apply(again.diff()) is Outcome.APPLIED
    assert assert_true(local, again, 5)


def test_a_book_whose_bids_and_asks_cross_is_lost():
    market = Market(1)
    local = seeded(market)
    diff = market.diff()
    diff.b = (("59.5", "1"),)
    assert local.apply(diff) is Outcome.CROSSED
    assert not local.synced
    assert local.seed(Snapshot(1, [("2", "1")], [("1", "1")])) is Outcome.CROSSED


@pytest.mark.parametrize("level", [("x", "1"), ("1", "x"), ("0", "1"), ("-1", "1"), ("nan", "1"), ("1", "inf"), ("1", "-1")])  # fmt: skip
def test_a_price_or_quantity_that_is_none_loses_the_book(level):
    market = Market(1)
    local = seeded(market)
    diff = market.diff()
    diff.a = (level,)
    assert local.apply(diff) is Outcome.MALFORMED
    assert not local.synced
    # It does not wait for the snapshot either.
    market.diff()
    assert local.apply(market.diff()) is Outcome.WAITING
    assert local.seed(market.snapshot(1000)) is Outcome.APPLIED


def test_a_snapshot_older_than_the_book_changes_nothing():
    market = Market(1)
    old = market.snapshot(1000)
    diff = market.diff()
    local = seeded(market)
    local.refresh()
    assert local.seed(old) is Outcome.GAP
    assert local.id == diff.u
    assert local.apply(market.diff()) is Outcome.APPLIED


def test_diffs_that_wait_are_bounded():
    market, local = Market(1), LocalOrderBook()
    old = market.snapshot(1000)
    for _ in range(MAX_WAITING + 1):
        local.apply(market.diff())
    assert local.seed(old) is Outcome.GAP
    assert local.seed(market.snapshot(1000, market.id - 3)) is Outcome.APPLIED


def test_levels_are_in_the_exchanges_own_text():
    local = LocalOrderBook()
    local.seed(Snapshot(7, [("61800.30", "0.00600000")], [("61800.40", "1.000")], 1000))
    local.apply(Diff("BTCUSDT", 1, 8, 9, (("61800.2000", "3"),), ()))
    top = local.top(20)
    assert top is not None
    assert top == TopLevels([("61800.30", "0.00600000"), ("61800.2000", "3")], [("61800.40", "1.000")])
