"""Which events a state has seen, and which frames have to be read for them."""

import pytest

from tasks.events import AnyEvent
from tasks.frames.model import parse_stream
from tasks.protocol.routing import Pool
from tasks.why.lane import LaneReader, SourceFrame, StrategyLane
from tests.support.events import book, trade

TRADES = StrategyLane.of(Pool("trade", ("trade",)), "spot", "BTCUSDT")
BOOKS = StrategyLane.of(Pool("depth", ("depth",)), "spot", "BTCUSDT")
BASKET = StrategyLane.of(
    Pool("basket", ("trade",), "all", symbols=frozenset({"BTCUSDT", "ETHUSDT"})), "spot", "BTCUSDT"
)


@pytest.mark.parametrize(
    ("lane", "stream", "needed"),
    [
        (TRADES, "btcusdt@trade", True),
        (TRADES, "btcusdt@depth20@100ms", False),
        (TRADES, "ethusdt@trade", False),
        (TRADES, "btcusdt@ticker", False),
        # Whether a book is its symbol's is told by trades.
        (BOOKS, "btcusdt@trade", True),
        (BOOKS, "btcusdt@depth20@100ms", True),
        (BASKET, "ethusdt@trade", True),
        (BASKET, "solusdt@trade", False),
        # Only the frame can tell.
        (TRADES, "data", True),
    ],
)
def test_only_the_frames_that_may_matter_are_needed(lane, stream, needed):
    assert lane.needs(parse_stream(stream)) is needed


def test_a_lane_takes_the_events_of_its_venue_symbol_and_kinds():
    every: list[AnyEvent] = [trade(), trade(venue="usdm"), trade(symbol="ETHUSDT"), trade(symbol="SOLUSDT"), book()]
    assert [TRADES.takes(each) for each in every] == [True, False, False, False, False]
    assert [BASKET.takes(each) for each in every] == [True, False, True, False, False]


def test_a_frame_of_another_lane_or_of_none_has_no_event():
    reader = LaneReader(TRADES)
    frame = (
        b'{"stream":"%b@trade","data":{"e":"trade","E":1723161600000,"T":1,"s":"%b","t":1,"p":"1","q":"1","m":true}}'
    )
    frames = [frame % (b"btcusdt", b"BTCUSDT"), frame % (b"ethusdt", b"ETHUSDT"), b"{}"]
    found = [reader.read(SourceFrame(raw, "data", 1, 1_723_161_600_000_000_000)) for raw in frames]
    assert [each.symbol if each else None for each in found] == ["BTCUSDT", None, None]
