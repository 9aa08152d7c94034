"""Which streams a feed hears of, in a time that the test sets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feeds.stream_watch import SilenceTimeouts, SilentSubscription, StreamWatch, allowed_s
from ingest.monitoring.feed_reports import FORGET_S, FeedReports
from tasks.protocol import feed_report
from tasks.protocol.feed_report import FeedReport, SilentStream

TIMEOUTS = SilenceTimeouts(books_s=10, trades_s=60)
BOOK, TRADES = "btcusdt@depth20@100ms", "btcusdt@trade"


def watch(**spoke_s: list[float]) -> StreamWatch:
    """A watch that asked for both streams at 0 s, and heard of each at these moments."""
    watched = StreamWatch(TIMEOUTS, [BOOK, TRADES])
    for stream, moments in zip((BOOK, TRADES), (spoke_s.get("book", []), spoke_s.get("trades", [])), strict=True):
        for moment_s in moments:
            watched.record(stream, moment_s)
    return watched


def test_a_stream_that_never_speaks_is_silent_after_a_while():
    assert watch().silent(10.0) == []
    assert watch().silent(11.0) == [
        SilentSubscription(BOOK, 11.0, received=False),
        SilentSubscription(TRADES, 11.0, received=False),
    ]


def test_a_stream_that_stops_is_silent_and_its_neighbour_is_not():
    watched = watch(book=[second / 10 for second in range(200)], trades=[1.0])
    assert watched.silent(29.0) == []
    assert watched.silent(30.0) == [SilentSubscription(BOOK, 30.0 - 19.9, received=True)]
    watched.record(BOOK, 31.0)
    assert watched.silent(31.0) == []


def test_trades_may_rest_longer_than_books():
    watched = watch(book=[1.0], trades=[1.0])
    assert [each.stream for each in watched.silent(12.0)] == [BOOK]
    assert [each.stream for each in watched.silent(62.0)] == [BOOK, TRADES]


def test_a_stream_that_always_speaks_seldom_is_given_its_time():
    watched = watch(book=[second / 10 for second in range(6_000)], trades=[30.0 * number for number in range(20)])
    assert watched.silent(600.0) == []
    # 30 s between two trades, 20 times as long.
    assert TRADES not in [each.stream for each in watched.silent(570.0 + 500)]
    assert TRADES in [each.stream for each in watched.silent(570.0 + 601)]


@pytest.mark.parametrize(
    ("stream", "received", "allowed"),
    [
        ("btcusdt@aggTrade", False, 10),
        ("btcusdt@aggTrade", True, 60),
        ("btcusdt@bookTicker", True, 60),
        ("btcusdt@markPrice@1s", True, 10),
        ("btcusdt@kline_1m", False, 120),
        ("btcusdt@kline_15m", True, 960),
        ("btcusdt@kline_1M", True, 3_660),
        ("btcusdt@forceOrder", False, math.inf),
        ("btcusdt@forceOrder", True, math.inf),
    ],
)
def test_each_kind_of_stream_has_its_own_time(stream, received, allowed):
    assert allowed_s(TIMEOUTS, stream, received=received) == allowed


def test_liquidations_are_never_missed_also_after_a_burst():
    watched = StreamWatch(TIMEOUTS, ["btcusdt@forceOrder"])
    watched.record("btcusdt@forceOrder", 1.0)
    watched.record("btcusdt@forceOrder", 1.1)
    assert watched.silent(1e6) == []


def test_a_feed_of_which_nothing_has_come_is_known():
    assert not watch().received
    assert watch(trades=[1.0]).received


def test_a_message_before_all_links_stand_counts():
    watched = watch(book=[1.0])
    watched.begin(20.0)
    assert watched.silent(25.0) == [SilentSubscription(BOOK, 24.0, received=True)]


def test_what_nobody_asked_for_is_not_watched():
    watched = watch(book=[1.0], trades=[1.0])
    watched.record("ethusdt@trade", 1.0)
    assert watched.subscribed == 2
    assert watched.silent(5.0) == []


@given(st.lists(st.floats(0.01, 5.0), min_size=1, max_size=50), st.floats(0.0, 9.9))
def test_a_stream_with_a_recent_message_is_never_silent(pauses: list[float], since_s: float):
    watched, now_s = watch(), 0.0
    for pause_s in pauses:
        now_s += pause_s
        watched.record(BOOK, now_s)
    assert BOOK not in [each.stream for each in watched.silent(now_s + since_s)]


def report(feed: str = "one", silent: int = 1) -> FeedReport:
    return FeedReport(feed, 4, silent, (SilentStream(TRADES, 75.4, spoke=True), SilentStream(BOOK, 75.4, spoke=False)))


def test_ingest_tells_which_streams_a_feed_misses():
    reports = FeedReports()
    reports.take(report(silent=3), 0.0)
    reports.take(FeedReport("two", 4, 0), 0.0)
    (finding,) = reports.findings(1.0)
    assert (finding.sign, finding.name, finding.what) == ("warning", "streams_silent", "feed one")
    assert finding.says == (
        "nothing comes of 3 of 4 streams: btcusdt@trade (for 75 s), btcusdt@depth20@100ms (never, in 75 s) and 1 more"
    )
    assert reports.silent(1.0) == 3


def test_ingest_tells_why_the_frames_of_a_feed_are_not_stored():
    reports = FeedReports()
    reports.take(FeedReport("one", 4, 0, unstored="nothing was confirmed for 5 s"), 0.0)
    (finding,) = reports.findings(1.0)
    assert (finding.sign, finding.name, finding.what) == ("warning", "frames_unstored", "feed one")
    assert finding.says == "its frames are not stored: nothing was confirmed for 5 s"
    reports.take(FeedReport("one", 4, 0), 2.0)
    assert list(reports.findings(3.0)) == []


def test_the_last_report_counts_and_a_feed_that_ended_is_forgotten():
    reports = FeedReports()
    reports.take(report(), 0.0)
    reports.take(report(silent=0), 1.0)
    assert list(reports.findings(2.0)) == []
    reports.take(report(), 3.0)
    assert len(list(reports.findings(3.0 + FORGET_S - 1))) == 1
    assert list(reports.findings(3.0 + FORGET_S)) == []


def test_a_flood_of_feeds_takes_no_memory():
    reports = FeedReports()
    for number in range(1_000):
        reports.take(report(str(number)), 0.0)
    assert len(list(reports.findings(1.0))) == 100


@pytest.mark.parametrize("request_", [b"", b"{}", b"[]", b"\xff", b'{"feed":1}', b"[" * 10_000])
def test_another_request_is_no_report(request_: bytes):
    assert feed_report.decode(request_) is None


def test_a_report_comes_back_from_its_bytes():
    assert feed_report.decode(feed_report.encode(report())) == report()
