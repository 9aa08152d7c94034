"""How much of a book is known, beyond its snapshot's range and after the market has moved."""

import re
from pathlib import Path

from tasks.books.diffs import Snapshot, read_diff, read_snapshot
from tasks.books.order_book import OrderBook


def book(bids: list[int], asks: list[int], limit: int | None) -> OrderBook:
    made = Snapshot(1, [(str(price), "1") for price in bids], [(str(price), "1") for price in asks], limit).book
    assert made.settle()
    return made


def test_a_side_with_fewer_levels_than_asked_for_is_whole():
    few = book([9, 8], [10, 11], limit=3)
    top = few.top(20)
    assert top is not None
    assert (len(top.bids), len(top.asks)) == (2, 2)


def test_beyond_the_snapshots_range_nothing_is_proved():
    limited = book([9, 8, 7], [10, 11, 12], limit=3)
    assert limited.proves(3)
    limited.bids.set("5", "1")  # There may be a level at 6.
    assert limited.top(4) is None
    limited.bids.set("9", "0")
    assert limited.top(3) is None
    limited.bids.set("9.5", "1")
    assert limited.proves(3)


def test_a_range_reaches_as_far_as_the_other_side_has_been():
    """While the best ask is at 5 there is no bid at 5 or above: whatever comes there later is told."""
    moved = book([9, 8, 7], [10, 11, 12], limit=3)
    for price in ("9", "8", "7"):
        moved.bids.set(price, "0")
    moved.asks.set("5", "1")
    assert moved.settle()
    moved.bids.set("4.9", "1")  # There may be one at 4.95.
    assert moved.top(1) is None
    moved.asks.set("5", "0")
    for price in ("5", "6"):
        moved.bids.set(price, "1")
    assert moved.settle()
    assert moved.proves(2)
    assert not moved.proves(3)


def test_a_side_cut_to_fewer_levels_than_asked_for_is_not_whole():
    cut = book(list(range(200, 100, -1)), list(range(201, 301)), limit=1000)
    assert cut.proves(100)
    assert not cut.proves(101)


def test_an_empty_side_is_whole_where_the_snapshot_had_room():
    assert book([], [10], limit=3).top(5) == ([], [("10", "1")])


def test_the_same_price_in_other_digits_is_the_same_level():
    one = book([9], [10], limit=None)
    one.bids.set("9.000", "7")
    assert one.top(5) == ([("9.000", "7")], [("10", "1")])
    one.bids.set(9.0, 0.0)
    assert one.top(5) == ([], [("10", "1")])


def test_what_is_no_diff_or_no_snapshot_is_told():
    assert read_diff(b'{"stream":"x@depth","data":{"e":"depthUpdate"}}') is None
    assert read_diff(b"\xff") is None
    assert read_snapshot(b'{"code":-1121,"msg":"Invalid symbol."}', 5) is None
    assert read_snapshot(b'{"lastUpdateId":1,"bids":[["x","1"]],"asks":[]}', 5) is None
    assert read_snapshot(b'{"lastUpdateId":1,"bids":[["1","1"]],"asks":[],"E":1}', 5) is not None


def test_recorded_diffs_of_every_market_are_read(recordings: Path):
    """As others recorded them, in years and markets of all kinds."""
    lines = (recordings / "odd-frames.jsonl").read_bytes().splitlines()
    raw = [line for line in lines if re.search(rb'"stream":"\w+@depth@\w+"', line)]
    diffs = [read_diff(line) for line in raw]
    assert len(diffs) == 8
    for diff in diffs:
        assert diff is not None
        assert diff.after < diff.u
        made = OrderBook()
        made.set(diff.b, diff.a)
        assert made.top(5000) is not None
