"""A local book's frames, read by the parser that reads the exchange's."""

import pytest

from tasks import frames
from tasks.books import LocalOrderBook
from tasks.books.book_frames import book_frame
from tasks.events import Depth
from tasks.frames.model import FrameMetadata
from tests.support.books.market import Market


@pytest.mark.parametrize("venue", ["spot", "usdm"])
def test_a_frame_is_parsed_as_the_exchanges_own(venue):
    market = Market(3, venue)
    local = LocalOrderBook()
    local.seed(market.snapshot(1000))
    diff = market.diff()
    diff.received_at_ns = (diff.E + 7) * 1_000_000
    local.apply(diff)
    top = local.top(5)
    assert top
    event = frames.parse(book_frame("btcusdt@depth5@100ms", diff, top), FrameMetadata("binance.x", 1, 1))
    assert isinstance(event, Depth)
    assert (event.venue, event.symbol, event.id) == (venue, "BTCUSDT", diff.u)
    # Spot books carry no time of their own.
    assert event.time_ms == (diff.E + 7 if venue == "spot" else diff.E)
    true = [tuple((float(price), float(quantity)) for price, quantity in side) for side in market.book(diff.u).top(5)]
    assert [event.bids, event.asks] == true
