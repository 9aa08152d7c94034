import json
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.counters import Counters
from ingest.lanes import LaneLimits, Lanes
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.recent_counts import RecentCounts
from ingest.monitoring.unused_frames import UnusedFrames
from ingest.page.page_state import SIGNALS_KEPT, TEXT_CHARACTERS, PageSources, PageState
from tasks import invocation
from tasks.configuration.gate import Gate
from tasks.events import Trade
from tasks.ops.warm_ups import WarmUp
from tasks.protocol.counters import Counts
from tasks.protocol.routing import Pool, Router
from tasks.scoring.live_returns import LiveReturns
from tasks.scoring.strategy_returns import StrategyReturns
from tasks.settings import Settings
from tasks.telemetry import latency
from tests.support.events import TIME_MS, book, kline, liquidation


class Told:
    """A `PageState` whose time the test drives, and what it says."""

    def __init__(self, expected: Sequence[StrategyReturns] = (), **settings: str) -> None:
        self.counters = Counters()
        self.lanes = Lanes(Router((Pool("trade", ("trade",), partitions=2),)), LaneLimits(10**6, 10**6))
        self.times = RecentCounts("strategy_events", "strategy_ns")
        others = SimpleNamespace(counts=Counts())
        around: Any = SimpleNamespace(seen=None, times=self.times, other_ledgers=others)
        self.feed = FeedWatch()
        self.paper: Any = SimpleNamespace(seen=None)
        watched = self.feed, UnusedFrames(30.0)
        asked: Any = (
            self.lanes,
            around,
            lambda: (True, {"nats": True}),
            *watched,
            lambda: {"iceberg": {"depth": Gate()}, "other": {"depth": Gate(paused=True), "trade": Gate(killed=True)}},
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


def test_a_row_has_nothing_of_kinds_that_never_came():
    told = Told()
    told.feed.observe(book())
    [row] = told.tick()["tick"]["symbols"]
    assert set(row) == {
        "venue", "symbol", "mid", "spread_bps", "trade", "events", "book_ms", "trade_ms", "time_ms",
    }  # fmt: skip


def test_the_page_knows_how_long_a_feed_of_candles_may_be_quiet():
    told = Told()
    told.feed.observe(kline())
    assert told.tick()["tick"]["feed_patience_s"] == 120.0
    rare = Told()
    rare.feed.observe(liquidation())
    assert rare.tick()["tick"]["feed_patience_s"] is None


def test_hello_holds_all_that_the_page_draws():
    told = Told(flower_url="http://me:hunter2@127.0.0.1:5555", namespace="mine")
    told.feed.observe(book())
    told.live.relayed(b"2000-0", signal("a"))
    told.tick()
    hello = told.hello()
    assert (hello["namespace"], hello["links"]) == ("mine", {"Flower": "http://127.0.0.1:5555", "Grafana": ""})
    assert [(row["symbol"], row["mid"], row["trade"]) for row in hello["symbols"]] == [("BTCUSDT", 2000.0, None)]
    assert (hello["history"][0]["mid"], hello["history"][0]["times_ms"]) == ([2000.0], [TIME_MS])
    assert hello["strategies"] == {"iceberg": {"depth": "live"}, "other": {"depth": "paused", "trade": "killed"}}
    assert [(each["id"], each["at_ms"]) for each in hello["signals"]] == [("a", 2000)]
    assert hello["ready"] == {"ok": True, "parts": {"nats": True}}
    assert [lane[:2] for lane in hello["lanes"]] == [["trade-0", 0], ["trade-1", 0]]


def test_what_is_held_back_and_how_long_events_take_is_told_by_strategy():
    told, counts = Told(), Counts()
    told.times.take(counts, time.monotonic())
    counts.add("strategy_held", "iceberg:cool_down", by=3)
    counts.add("strategy_ns", "iceberg", by=9_000)
    counts.add("strategy_events", "iceberg", by=4)
    told.times.take(counts, time.monotonic())
    told.live.counted(counts)
    hello = told.hello()
    assert hello["warming"] == {}
    assert (hello["held_by"], hello["event_us"]) == ({"iceberg": {"cool_down": 3}}, {"iceberg": 2.25})


def test_only_strategies_that_still_warm_up_are_told_so():
    told = Told()
    told.live.warmed({"warm": WarmUp(2, 0), "one": WarmUp(1, 1, 52, 250), "some": WarmUp(20, 3, 1_052, 2_500)})
    assert told.hello()["warming"] == {"one": "52 of 250", "some": "1,052 of 2,500, 3 of 20 states"}


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


def test_signals_that_are_read_later_are_sorted_in_and_the_last_are_kept():
    told = Told()
    for number in range(0, 2 * SIGNALS_KEPT, 2):
        told.live.relayed(b"%d-0" % (1_000 + number), signal(str(number)))
    of_another = range(1, 2 * SIGNALS_KEPT, 2)
    newest_first = [(b"%d-0" % (1_000 + number), {b"signal": signal(str(number))}) for number in reversed(of_another)]
    told.live.remember(newest_first)
    kept = [each["id"] for each in told.hello()["signals"]]
    assert kept == [str(number) for number in range(SIGNALS_KEPT, 2 * SIGNALS_KEPT)]


def test_a_chart_has_marks_of_signals_that_are_no_longer_in_the_list():
    told = Told()
    of_another = {"symbol": "ADAUSDT", "trigger": {"venue": "spot", "symbol": "ADAUSDT"}}
    told.live.remember([(b"2-0", {b"signal": signal("b")}), (b"1-0", {b"signal": signal("a")})])
    for number in range(SIGNALS_KEPT):
        told.live.relayed(b"3-0", signal(str(number), **of_another))
    told.live.relayed(b"4-0", signal("c", action="sell", price=3))
    told.live.remember([(b"4-0", {b"signal": signal("c")})])
    assert json.loads(told.live.past("spot", "BTCUSDT"))["marks"] == [
        ["a", "iceberg", "buy", 2.0, 1_000],
        ["b", "iceberg", "buy", 2.0, 1_000],
        ["c", "iceberg", "sell", 3.0, 1_000],
    ]


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


@pytest.mark.parametrize("run", ["./run", "/opt/strategies/run", "realtime-strategies"])
def test_commands_are_told_as_they_are_called_here(monkeypatch: pytest.MonkeyPatch, run: str):
    monkeypatch.setenv(invocation.VARIABLE, run)
    assert Told().hello()["commands"] == {"tasks": f"{run} tasks", "demo": f"{run} demo"}


def test_the_event_of_a_signal_is_told_if_lanes_know_it():
    told = Told()
    told.lanes.offer(Trade("spot", "BTCUSDT", 8, 1_000, 1, 1, 2.0, 0.5, buyer_is_maker=True))
    for number in (7, 8):
        trigger = {"venue": "spot", "symbol": "BTCUSDT", "kind": "trade", "id": number}
        told.live.relayed(b"1-0", signal(f"of {number}", trigger=trigger))
    event = told.live.event_of_signal("of 8")
    assert event
    assert json.loads(event) == {
        "kind": "trade", "venue": "spot", "symbol": "BTCUSDT", "id": 8, "time_ms": 1_000, "price": 2.0, "quantity": 0.5,
        "buyer_is_maker": True,
    }  # fmt: skip
    assert [told.live.event_of_signal(name) for name in ("of 7", "of 6")] == [None, None]


def test_all_of_a_signal_is_told_as_long_as_it_is_in_the_list():
    told = Told()
    packed = signal("first", indicators={"depth": 0.5})
    told.live.relayed(b"1-0", packed)
    assert told.live.whole_signal("first") == packed
    for number in range(SIGNALS_KEPT):
        told.live.relayed(b"1-0", signal(str(number)))
    assert told.live.whole_signal("first") is None
