"""How soon the exchange may be asked again."""

from ingest.feeds.request_pace import RequestPace


def test_requests_are_apart_and_bounded_in_every_window():
    pace = RequestPace(in_window=3, pause_s=2, window_s=60)
    asked_s, now_s = [], 100.0
    for _ in range(7):
        now_s += pace.wait_s(now_s)
        pace.record(now_s)
        asked_s.append(now_s - 100)
    assert asked_s == [0, 2, 4, 60, 62, 64, 120]


def test_nothing_is_asked_before_the_exchange_allows_it():
    pace = RequestPace(in_window=3, pause_s=2, window_s=60)
    pace.hold(150.0)
    pace.hold(130.0)
    assert pace.wait_s(100.0) == 50.0
    assert pace.wait_s(151.0) == 0.0
