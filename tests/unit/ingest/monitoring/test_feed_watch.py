"""How old the newest event is, overall and by stream, and what is wrong with a feed. Seconds are the test's."""

import pytest

from ingest.monitoring.feed_stream import FORGET_S, REPEATS_S
from ingest.monitoring.feed_watch import KNOWN_TICKS, MAX_STREAMS, PAUSES, STREAMS_TOLD, FeedWatch
from tasks.events import NO_ID
from tests.support.events import TIME_MS, book, kline, liquidation, trade
from tests.unit.ingest.monitoring.feed_seconds import QUIET_S, Feed


@pytest.fixture
def feed() -> Feed:
    return Feed()


def test_before_the_first_event_there_is_no_age_and_nothing_is_wrong(feed: Feed):
    feed.seconds(10 * QUIET_S)
    assert (feed.watch.age_s(feed.now_s), feed.found, feed.well) == (None, {}, ["no event yet"])
    assert feed.watch.summary(feed.now_s) == {"age_s": None, "streams": 0, "oldest": {}}


def test_a_feed_is_quiet_once_its_newest_event_is_too_old(feed: Feed):
    feed.second(feed.trade())
    feed.seconds(QUIET_S)
    assert (feed.watch.age_s(feed.now_s), feed.found) == (QUIET_S, {})
    assert feed.well == ["newest event 30 s ago, streams: 1"]
    feed.seconds(1)
    assert (feed.found, feed.well) == ({"feed_quiet": "no event for more than 30 s"}, [])
    feed.seconds(90)
    assert feed.found == {"feed_quiet": "no event for more than 2 min"}
    feed.second(feed.trade())
    assert feed.found == {}


def test_after_a_restart_a_feed_that_there_was_before_is_missed(feed: Feed):
    feed.expecting, feed.listening = True, False
    feed.seconds(2 * QUIET_S)
    assert feed.found == {}
    feed.listening = True
    feed.seconds(QUIET_S)
    assert (feed.watch.age_s(feed.now_s), feed.found) == (QUIET_S - 1, {})
    feed.seconds(2)
    assert feed.found.keys() == {"feed_quiet"}


def test_while_no_event_can_come_the_feed_is_not_to_blame(feed: Feed):
    feed.second(feed.trade())
    feed.listening = False
    feed.seconds(2 * QUIET_S)
    assert feed.found == {}
    feed.listening = True
    feed.seconds(QUIET_S)
    assert feed.found == {}
    feed.seconds(2)
    assert feed.found.keys() == {"feed_quiet"}


def test_a_stream_that_falls_silent_while_others_go_on_is_named(feed: Feed):
    feed.seconds(KNOWN_TICKS, "BTCUSDT", "ETHUSDT")
    feed.seconds(QUIET_S, "BTCUSDT")
    assert feed.found == {}
    feed.seconds(1, "BTCUSDT")
    assert feed.found == {"streams_silent": "silent, while others go on: spot:ETHUSDT:trade"}
    feed.seconds(1, "BTCUSDT", "ETHUSDT")
    assert feed.found == {}


def test_a_stream_with_long_pauses_is_given_its_time(feed: Feed):
    for _ in range(KNOWN_TICKS):
        feed.seconds(9, "BTCUSDT")
        feed.seconds(1, "BTCUSDT", "THINUSDT")
    feed.seconds(10 * PAUSES, "BTCUSDT")
    assert feed.found == {}
    feed.seconds(1, "BTCUSDT")
    assert feed.found.keys() == {"streams_silent"}


def test_a_stream_that_came_only_a_few_times_is_not_missed(feed: Feed):
    feed.seconds(KNOWN_TICKS - 1, "BTCUSDT", "RAREUSDT")
    feed.seconds(10 * QUIET_S, "BTCUSDT")
    assert feed.found == {}


def test_a_stream_that_is_silent_for_an_hour_is_forgotten(feed: Feed):
    feed.seconds(KNOWN_TICKS, "BTCUSDT", "ETHUSDT")
    feed.seconds(FORGET_S, "BTCUSDT")
    assert feed.found.keys() == {"streams_silent"}
    feed.seconds(1, "BTCUSDT")
    assert (feed.found, feed.watch.summary(feed.now_s)["streams"]) == ({}, 1)


def test_a_stream_most_of_whose_events_are_repeats_for_10_s_is_named(feed: Feed):
    stuck = feed.trade("ETHUSDT")
    feed.second(stuck)
    for _ in range(int(REPEATS_S)):
        feed.second(feed.trade(), *[stuck] * 3)
    assert feed.found == {}
    feed.second(feed.trade(), *[stuck] * 3)
    assert feed.found == {"feed_repeats": "most events are repeats, which are left out: spot:ETHUSDT:trade"}
    feed.seconds(3 * REPEATS_S, "BTCUSDT", "ETHUSDT")
    assert feed.found == {}


def test_books_of_two_symbols_under_one_name_are_repeats(feed: Feed):
    """The ids of the one are all below those of the other, as of two symbols of an exchange."""
    for second in range(int(REPEATS_S) + 3):
        feed.second(book(id=900 + second), *(book(id=10 + 2 * second + at) for at in range(2)))
    assert feed.found.keys() == {"feed_repeats"}


def test_a_few_repeats_and_a_feed_that_restarts_are_no_alarm(feed: Feed):
    for second in range(60):
        feed.second(*(trade(id=10 * second + at, time_ms=TIME_MS + second) for at in (1, 2, 2, 3)))
    assert feed.found == {}
    for second in range(60):
        feed.second(trade(id=second, time_ms=TIME_MS + 3_600_000 + second))
    assert feed.found == {}


def test_what_is_read_again_after_a_restart_is_no_repeat(feed: Feed):
    events = [feed.trade() for _ in range(60)]
    for event in events:
        feed.second(event)
    feed.watch.restart()
    for event in events:
        feed.second(event)
    assert feed.found == {}


def test_what_came_within_a_second_is_given_once_with_its_newest_event(feed: Feed):
    events = [feed.trade(), feed.trade(), feed.trade("ETHUSDT"), book(id=7)]
    for event in events:
        feed.watch.observe(event)
    summary = {fresh.key: (fresh.event, fresh.events, fresh.wanted) for fresh in feed.watch.tick(1.0)}
    assert summary == {
        ("spot", "BTCUSDT", "trade"): (events[1], 2, True),
        ("spot", "ETHUSDT", "trade"): (events[2], 1, True),
        ("spot", "BTCUSDT", "depth"): (events[3], 1, False),
    }
    assert feed.watch.tick(2.0) == []


def test_ages_are_told_by_kind_and_of_the_oldest_streams(feed: Feed):
    feed.second(book(id=1))
    symbols = [f"S{number}USDT" for number in range(STREAMS_TOLD)]
    feed.seconds(4, *symbols)
    assert feed.watch.ages_by_kind(feed.now_s) == {("spot", "depth"): 4.0, ("spot", "trade"): 0.0}
    summary = feed.watch.summary(feed.now_s)
    assert (summary["age_s"], summary["streams"], len(summary["oldest"])) == (0.0, STREAMS_TOLD + 1, STREAMS_TOLD)
    assert next(iter(summary["oldest"].items())) == ("spot:BTCUSDT:depth", 4.0)


def test_candles_are_missed_only_after_two_intervals(feed: Feed):
    for minute in range(KNOWN_TICKS):
        feed.second(kline(close_ms=TIME_MS + 60_000 * minute))
        feed.seconds(59)
        assert feed.found == {}
    feed.seconds(91)
    assert feed.found == {}
    feed.seconds(1)
    assert feed.found == {"feed_quiet": "no event for more than 2 min"}


def test_of_candles_of_several_intervals_the_shortest_is_expected(feed: Feed):
    feed.second(kline(lasts_ms=3_600_000, interval="1h"))
    assert feed.watch.patience_s == 7_200
    feed.second(kline(close_ms=TIME_MS + 59_999))
    assert feed.watch.patience_s == 120


def test_liquidations_are_never_missed(feed: Feed):
    for second in range(2 * KNOWN_TICKS):
        feed.second(liquidation(time_ms=TIME_MS + second))
    feed.seconds(100 * QUIET_S)
    assert feed.found == {}
    assert feed.watch.summary(feed.now_s)["streams"] == 1


def test_beside_trades_candles_and_liquidations_make_no_feed_patient(feed: Feed):
    feed.second(feed.trade(), kline(), liquidation())
    feed.seconds(QUIET_S + 1)
    assert feed.found.keys() == {"feed_quiet"}


def test_a_candle_that_fails_to_come_beside_trades_is_named(feed: Feed):
    for minute in range(KNOWN_TICKS):
        feed.second(kline(close_ms=TIME_MS + 60_000 * minute))
        feed.seconds(59, "BTCUSDT")
    feed.seconds(10 * 60, "BTCUSDT")
    assert feed.found == {"streams_silent": "silent, while others go on: usdm:BTCUSDT:kline"}


def test_before_the_first_event_a_feed_of_candles_only_is_not_missed():
    watch = FeedWatch(quiet_s=QUIET_S, expecting=lambda: True, kinds=("kline", "liquidation"))
    for now_s in range(1_000):
        watch.tick(float(now_s))
    assert [each.sign for each in watch.findings(1_000.0)] == ["ok"]


def test_invented_symbols_do_not_make_it_grow(feed: Feed):
    for number in range(MAX_STREAMS + 10):
        feed.watch.observe(trade(symbol=f"S{number}"))
    feed.second()
    feed.second(trade(symbol="S0", id=9))
    assert feed.watch.summary(feed.now_s)["streams"] <= MAX_STREAMS + 1
    feed.second()
    assert feed.watch.summary(feed.now_s)["streams"] == MAX_STREAMS


def test_events_of_one_time_without_ids_are_new_and_earlier_ones_repeats(feed: Feed):
    for second in range(60):
        events = [trade(id=NO_ID + (TIME_MS + second) * 10**6, time_ms=TIME_MS + second) for _ in range(9)]
        feed.second(*events)
    assert feed.found == {}
    for _ in range(60):
        feed.second(trade(id=NO_ID + TIME_MS * 10**6, time_ms=TIME_MS))
    assert "feed_repeats" in feed.found


def test_a_shard_whose_symbols_are_quiet_does_not_take_the_feed_for_quiet(feed: Feed):
    feed.second(feed.trade())
    feed.seconds(QUIET_S + 1)
    assert "feed_quiet" in feed.found
    names = [finding.name for finding in feed.watch.findings(feed.now_s, others_go_on=True)]
    assert "feed_quiet" not in names
