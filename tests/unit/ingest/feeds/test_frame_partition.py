"""A frame is published to the partition in which ingest will look for it."""

import json

import pytest

from ingest.feeds.frame_partition import partitioner
from tasks import frames
from tasks.events import KINDS, Event, Venue
from tasks.frames.model import FrameMetadata
from tasks.protocol.routing import partition
from tests.support.kinds.sent import exchange_frames, neutral_frames

Q = 64
MARKETS: tuple[Venue, ...] = ("spot", "usdm", "coinm")


def expected(raw: bytes) -> int:
    """Return the partition of a frame, as ingest reads it."""
    event = frames.parse(raw, FrameMetadata("x", 1, 1, kinds=frozenset(KINDS)))
    assert isinstance(event, Event), event
    return partition(event.venue, event.symbol, Q)


def streams(venue: Venue) -> list[tuple[str, bytes]]:
    """Return frames of one market as its feed publishes them: a candle says of which it is."""
    documents = [json.loads(each) for each in exchange_frames(venue)]
    return [(each["stream"], json.dumps(each | {"venue": venue}).encode()) for each in documents]


def test_without_partitions_there_is_none_to_find():
    assert partitioner(0, "spot") is None


@pytest.mark.parametrize("venue", MARKETS)
def test_a_feed_of_one_market_knows_partitions_by_the_streams_names(venue: Venue):
    find = partitioner(Q, venue)
    assert find
    assert [find(name, b"") for name, _ in streams(venue)] == [expected(raw) for _, raw in streams(venue)]


def test_where_one_name_may_be_of_two_markets_frames_are_read():
    find = partitioner(Q, None)
    assert find
    of_both = [*streams("spot"), *streams("usdm"), *streams("spot")]
    assert [find(name, raw) for name, raw in of_both] == [expected(raw) for _, raw in of_both]
    assert len({find(name, raw) for name, raw in of_both if name.startswith("btcusdt@trade")}) <= 2


def test_a_neutral_frames_subject_names_its_venue_and_symbol():
    by_name, by_reading = partitioner(Q, "spot"), partitioner(Q, None)
    assert by_name
    assert by_reading
    for subject, raw in neutral_frames():
        assert by_name(subject, raw) == by_reading(subject, raw) == expected(raw)


@pytest.mark.parametrize("raw", [b'{"result":null,"id":1}', b"\xff", b"[]"])
def test_what_has_no_symbol_is_of_partition_0(raw: bytes):
    for venue in ("spot", None):
        find = partitioner(Q, venue)
        assert find
        assert find("!ticker@arr", raw) == 0
