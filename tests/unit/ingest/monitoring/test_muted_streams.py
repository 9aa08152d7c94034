"""Streams of which strategies get nothing, because all of their events are repeats."""

import pytest

from ingest.monitoring.feed_stream import MUTED_AFTER, MUTED_EVENTS, REPEATS_S
from ingest.monitoring.feed_watch import StreamKey
from tasks.protocol.records import Record
from tests.support.events import trade
from tests.unit.ingest.monitoring.feed_seconds import Feed


@pytest.fixture
def feed() -> Feed:
    return Feed()


def muted(feed: Feed) -> str | None:
    return feed.found.get("stream_muted")


def standing(id_: int) -> Record:
    """Return a record of the ledger after this trade."""
    record = Record()
    record.take(trade(id=id_), "s")
    return record


#: An id that is possible right after the first ones.
FORGED = 2**33
KEY: StreamKey = ("spot", "BTCUSDT", "trade")


def test_a_stream_with_nothing_but_repeats_for_30_s_is_muted(feed: Feed):
    stuck = feed.trade()
    feed.second(stuck)
    for _ in range(int(MUTED_AFTER * REPEATS_S) - 1):
        feed.second(stuck)
    assert muted(feed) is None
    feed.second(stuck)
    assert muted(feed) == "nothing but repeats, so no strategy gets an event: spot:BTCUSDT:trade"
    feed.second(feed.trade(), stuck)
    assert muted(feed) is None


def test_a_stream_of_which_each_event_comes_twice_is_not_muted(feed: Feed):
    for _ in range(90):
        event = feed.trade()
        feed.second(event, event, event)
    assert feed.found.keys() == {"feed_repeats"}


def test_a_few_late_repeats_of_a_slow_stream_mute_nothing(feed: Feed):
    stuck = feed.trade()
    for _ in range(MUTED_EVENTS):
        feed.second(stuck)
    feed.seconds(MUTED_AFTER * REPEATS_S)
    assert muted(feed) is None


def test_after_a_restart_a_stream_that_the_ledger_has_muted_is_found(feed: Feed):
    feed.second(feed.trade())
    assert feed.watch.doubtful() == [KEY]
    feed.watch.compare(KEY, [standing(1), standing(FORGED)])
    assert feed.watch.doubtful() == []
    feed.seconds(MUTED_AFTER * REPEATS_S + 1, "BTCUSDT")
    assert muted(feed)


def test_a_stream_whose_record_was_reset_is_well_again(feed: Feed):
    feed.second(feed.trade())
    feed.watch.compare(KEY, [standing(FORGED)])
    feed.seconds(MUTED_AFTER * REPEATS_S + 1, "BTCUSDT")
    assert feed.watch.doubtful() == [KEY]
    feed.watch.compare(KEY, [standing(3).without_last_event()])
    feed.seconds(1, "BTCUSDT")
    assert muted(feed) is None


def test_a_ledger_that_lags_behind_the_feed_changes_nothing(feed: Feed):
    feed.seconds(9, "BTCUSDT")
    feed.watch.compare(KEY, [standing(2)])
    feed.watch.compare(("spot", "NONE", "trade"), [standing(2)])
    feed.second(trade(id=3))
    assert feed.watch._streams[KEY].repeats_in_row == 1


def test_forged_ids_that_confirm_each_other_are_told_and_mute_nothing(feed: Feed):
    forged = iter(range(2**62, 2**63))
    feed.second(feed.trade(), trade(id=next(forged)), trade(id=next(forged)))
    for _ in range(90):
        feed.second(feed.trade(), trade(id=next(forged)))
    assert (feed.found, len(feed.refused)) == ({}, 89)


def test_an_id_too_far_ahead_is_told_and_mutes_nothing(feed: Feed):
    for _ in range(90):
        feed.second(feed.trade(), trade(id=2**63 - 1))
    assert (feed.found, len(feed.refused)) == ({}, 89)
    reason, detail = feed.refused[0]
    assert reason == "implausible_id"
    assert detail.startswith("spot BTCUSDT trade: no exchange counts from 1 to 9223372036854775807 in that time")
