import json
from collections.abc import Sequence
from math import nan
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import UNSET

from ingest.counters import Counters
from ingest.lanes import LaneLimits, Lanes
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.unused_frames import UnusedFrames
from ingest.page.market import HISTORY_POINTS, LEAP_MS, MAX_SYMBOLS, STALE_S, PageMarket, SymbolRow
from ingest.page.page_state import SIGNALS_KEPT, TEXT_CHARACTERS, PageSources, PageState
from tasks.protocol.records import NEW_GENERATION_MS
from tasks.protocol.routing import Pool, Router
from tasks.scoring.live_returns import LiveReturns
from tasks.scoring.strategy_returns import StrategyReturns
from tasks.settings import Settings
from tasks.telemetry import latency
from tests.support.events import TIME_MS, book, kline, liquidation, mark_price, quote, trade


class Told:
    """A `PageState` whose time the test drives, and what it says."""

    def __init__(self, expected: Sequence[StrategyReturns] = (), **settings: str) -> None:
        self.counters = Counters()
        lanes = Lanes(Router((Pool("trade", ("trade",), partitions=2),)), LaneLimits(10**6, 10**6))
        around: Any = SimpleNamespace(seen=None)
        self.feed = FeedWatch()
        self.paper: Any = SimpleNamespace(seen=None)
        watched = self.feed, UnusedFrames(30.0)
        asked: Any = (
            lanes,
            around,
            lambda: (True, {"nats": True}),
            *watched,
            lambda: ["iceberg"],
            self.paper,
            LiveReturns(),
            expected,
        )
        sources = PageSources(self.counters, *asked)
        self.live = PageState(Settings.model_validate(settings), sources)

    def hello(self) -> dict[str, Any]:
        hello: dict[str, Any] = read(self.live.hello())[1]
        return hello

    def tick(self) -> dict[str, Any]:
        return dict(map(read, self.live.tick(watched=True)))


class ShownMarket:
    """A market, and the feed before it."""

    def __init__(self) -> None:
        self.feed, self.market = FeedWatch(), PageMarket()
        self.observe = self.feed.observe

    def tick(self, now_s: float) -> list[SymbolRow]:
        return self.market.tick(self.feed.tick(now_s), now_s)


def read(text: bytes) -> tuple[str, Any]:
    """Return name and data of a server-sent event."""
    name, data, *rest = text.decode().split("\n")
    assert rest == ["", ""]
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def signal(name: str, **more: Any) -> bytes:
    fields = {"id": name, "strategy": "iceberg", "symbol": "BTCUSDT", "action": "buy", "price": 2, "confidence": 0.5}
    return json.dumps(
        fields | {"event_time_ms": 1_000, "trigger": {"venue": "spot", "symbol": "BTCUSDT"}} | more
    ).encode()


# The market


def test_a_row_has_the_latest_book_and_trade_and_its_events_since_a_tick():
    market = ShownMarket()
    for event in (book(), trade(100.0), trade(101.0), book(((99.0, 1.0),), ((101.0, 1.0),))):
        market.observe(event)
    [row] = market.tick(1.0)
    assert (row.mid, row.spread_bps, row.trade, row.events) == (100.0, 200.0, 101.0, 4)
    market.observe(trade(102.0))
    [row] = market.tick(2.0)
    assert (row.mid, row.trade, row.events) == (100.0, 102.0, 1)
    assert market.tick(3.0) == []


def test_a_row_has_nothing_of_kinds_that_never_came():
    told = Told()
    told.feed.observe(book())
    [row] = told.tick()["tick"]["symbols"]
    assert set(row) == {
        "venue", "symbol", "mid", "spread_bps", "trade", "events", "book_ms", "trade_ms", "time_ms",
    }  # fmt: skip


def test_a_row_has_what_other_kinds_said_last():
    market = ShownMarket()
    for event in (mark_price(101.5), kline(100.5), liquidation(time_ms=TIME_MS + 1), liquidation(time_ms=TIME_MS + 2)):
        market.observe(event)
    [row] = market.tick(1.0)
    assert (row.mark_price, row.funding_rate, row.candle, row.candle_interval) == (101.5, 0.0001, 100.5, "1m")
    assert (row.liquidations, row.events, row.other_ms) == (2, 4, 0)
    market.observe(liquidation(time_ms=TIME_MS + 3))
    [row] = market.tick(2.0)
    assert row.liquidations == 3


def test_quotes_stand_for_a_book_only_while_no_book_comes():
    market = ShownMarket()
    market.observe(quote(99.0, 101.0))
    [row] = market.tick(1.0)
    assert (row.bid, row.ask, row.mid, row.spread_bps) == (99.0, 101.0, 100.0, 200.0)
    assert market.market.history[0].mid == [100.0]
    market.observe(book(venue="usdm"))
    [row] = market.tick(2.0)
    assert (row.bid, row.ask, row.mid) == (UNSET, UNSET, 2000.0)
    market.observe(quote(99.0, 101.0, id=2))
    [row] = market.tick(3.0)
    assert (row.bid, row.mid) == (UNSET, 2000.0)
    market.observe(quote(99.0, 101.0, id=3))
    [row] = market.tick(2.0 + STALE_S)
    assert (row.bid, row.mid) == (99.0, 100.0)


def test_the_page_knows_how_long_a_feed_of_candles_may_be_quiet():
    told = Told()
    told.feed.observe(kline())
    assert told.tick()["tick"]["feed_patience_s"] == 120.0
    rare = Told()
    rare.feed.observe(liquidation())
    assert rare.tick()["tick"]["feed_patience_s"] is None


def test_the_same_symbol_of_two_venues_is_two_rows():
    market = ShownMarket()
    market.observe(trade(1.0, venue="spot"))
    market.observe(trade(2.0, venue="usdm"))
    assert {(row.venue, row.trade) for row in market.tick(1.0)} == {("spot", 1.0), ("usdm", 2.0)}


def test_the_history_has_a_point_a_tick_and_a_gap_where_the_book_is_old():
    market = ShownMarket()
    market.observe(book())
    for second in range(int(STALE_S) + 2):
        market.tick(float(second))
    [history] = market.market.history
    assert history.mid[: int(STALE_S)] == [2000.0] * int(STALE_S)
    assert history.mid[int(STALE_S) :] == pytest.approx([nan, nan], nan_ok=True)


def test_the_history_runs_on_the_books_time_and_goes_on_without_books():
    market = ShownMarket()
    for second, time_ms in enumerate((TIME_MS, TIME_MS + 5_000, None, TIME_MS + 5_500, TIME_MS + 9_000)):
        if time_ms:
            market.observe(book(time_ms=time_ms))
        market.tick(float(second))
    [history] = market.market.history
    assert [each - TIME_MS for each in history.times_ms] == [0, 5_000, 6_000, 6_000, 9_000]


@pytest.mark.parametrize("leap_ms", [-NEW_GENERATION_MS - 1, LEAP_MS + 1])
def test_the_history_restarts_where_time_leaps_to_that_of_another_feed(leap_ms: int):
    market = ShownMarket()
    for second, time_ms in enumerate((TIME_MS, TIME_MS + 1_000, TIME_MS + 1_000 + leap_ms)):
        market.observe(book(time_ms=time_ms))
        market.tick(float(second))
    [history] = market.market.history
    assert (history.times_ms, history.mid) == ([TIME_MS + 1_000 + leap_ms], [2000.0])


def test_trades_before_the_first_book_leave_no_points():
    market = ShownMarket()
    market.observe(trade())
    market.tick(1.0)
    assert market.market.history[0].times_ms == []


def test_history_and_symbols_are_bounded_and_the_most_active_stay():
    market = ShownMarket()
    for number in range(MAX_SYMBOLS + 20):
        for _ in range(2 if number >= 20 else 1):
            market.observe(book(symbol=f"S{number}USDT"))
    for second in range(HISTORY_POINTS + 5):
        market.tick(float(second))
    assert {row.symbol for row in market.market.rows} == {f"S{number}USDT" for number in range(20, MAX_SYMBOLS + 20)}
    assert {len(history.mid) for history in market.market.history} == {HISTORY_POINTS}


# What is told


def test_hello_holds_all_that_the_page_draws():
    told = Told(flower_url="http://me:hunter2@127.0.0.1:5555", namespace="mine")
    told.feed.observe(book())
    told.live.relayed(b"2000-0", signal("a"))
    told.tick()
    hello = told.hello()
    assert (hello["namespace"], hello["links"]) == ("mine", {"Flower": "http://127.0.0.1:5555", "Grafana": ""})
    assert [(row["symbol"], row["mid"], row["trade"]) for row in hello["symbols"]] == [("BTCUSDT", 2000.0, None)]
    assert (hello["history"][0]["mid"], hello["history"][0]["times_ms"]) == ([2000.0], [TIME_MS])
    assert hello["strategies"] == ["iceberg"]
    assert [(each["id"], each["at_ms"]) for each in hello["signals"]] == [("a", 2000)]
    assert hello["ready"] == {"ok": True, "parts": {"nats": True}}
    assert [lane[:2] for lane in hello["lanes"]] == [["trade-0", 0], ["trade-1", 0]]


def test_nothing_is_told_while_nobody_watches_but_the_history_goes_on():
    told = Told()
    told.feed.observe(book())
    assert told.live.tick(watched=False) == []
    assert told.hello()["history"][0]["mid"] == [2000.0]


def test_a_tick_tells_what_changed_and_new_signals_once():
    told = Told()
    told.feed.observe(book())
    told.live.relayed(b"1-0", signal("a"))
    told.live.relayed(b"1-0", signal("a"))
    first, second = told.tick(), told.tick()
    assert ([each["id"] for each in first["signals"]], len(first["tick"]["symbols"])) == (["a"], 1)
    assert "signals" not in second
    assert second["tick"]["symbols"] == []


def test_signals_of_before_that_are_read_again_stand_once():
    told = Told()
    told.live.remember([(b"1-0", {b"signal": signal("a")})])
    told.live.remember([(b"2-0", {b"signal": signal("b")}), (b"1-0", {b"signal": signal("a")})])
    assert [each["id"] for each in told.hello()["signals"]] == ["a", "b"]
    assert "signals" not in told.tick()


def test_the_last_signals_are_kept_and_what_is_no_signal_is_left_out():
    told = Told()
    for number in range(SIGNALS_KEPT + 3):
        told.live.relayed(b"1-0", signal(str(number)))
    for broken in (b"", b"{", b'{"id":1}', b"\xff"):
        told.live.relayed(b"1-0", broken)
    told.live.relayed(b"no entry", signal("x"))
    kept = [each["id"] for each in told.hello()["signals"]]
    assert kept == [str(number) for number in range(3, SIGNALS_KEPT + 3)]


def test_a_long_text_is_cut():
    told = Told()
    told.live.relayed(b"1-0", signal("a", rationale="x" * 10_000))
    assert told.hello()["signals"][0]["rationale"] == "x" * TEXT_CHARACTERS


def test_signals_of_before_the_start_come_first_and_none_comes_twice():
    told = Told()
    told.live.relayed(b"30-0", signal("c"))
    newest_first = [(b"30-0", signal("c")), (b"20-0", signal("b")), (b"15-0", b"broken"), (b"10-0", signal("a"))]
    told.live.remember([(entry, {b"signal": packed}) for entry, packed in newest_first])
    assert [each["id"] for each in told.hello()["signals"]] == ["a", "b", "c"]


def test_the_latency_is_that_of_the_last_minute():
    told = Told()
    told.counters.totals[latency.counter(1_000_000)] += 100
    assert told.tick()["tick"]["latency"] == pytest.approx([1.0, 1.0], rel=0.05)
    for _ in range(59):
        told.tick()
    told.counters.totals[latency.counter(50_000_000)] += 1
    assert told.tick()["tick"]["latency"] == pytest.approx([50.0, 50.0], rel=0.05)


def test_signals_can_be_explained_where_a_stream_keeps_the_frames():
    assert Told(INGEST_SOURCE="jetstream").hello()["has_stream"] is True
    assert Told().hello()["has_stream"] is False
