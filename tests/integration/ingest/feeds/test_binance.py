"""The live feed against a local exchange that plays a recording and misbehaves."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from compose.local.processes import Instance
from compose.local.servers import start_nats
from ingest.feeds import binance as feed
from ingest.feeds.stream_plan import choose
from tasks import frames
from tasks.errors import ServerUnavailableError, SettingsError
from tasks.events import Depth, Trade
from tasks.frames import model
from tasks.settings import Settings
from tests.support.feeds import until
from tests.support.live_feed import BOTH, IMPATIENT, feed_settings, live, original
from tests.support.servers import exchange as scripts
from tests.support.servers.exchange import Exchange, recorded
from tests.support.waiting import HANGS_S


async def test_each_frame_is_published_byte_for_byte_on_its_streams_subject(nats_url, spot):
    async with live(nats_url, Exchange(spot)) as (listener, _):
        await until(lambda: len(listener.messages) == len(spot), "all frames")

        assert [original(frame) for frame in listener.frames] == spot
        assert listener.subjects == [f"binance.{json.loads(frame)['stream']}" for frame in spot]
        assert all(type(json.loads(frame)["received_at"]) is int for frame in listener.frames)


async def test_a_live_feed_that_may_not_publish_ends_with_the_reason(spot):
    with Instance("live") as instance:
        file = instance.directory / "rights.conf"
        file.write_text(
            'authorization { default_permissions: { publish: "_INBOX.>" }, users: [{ user: us, password: us }] }'
        )
        _, url = start_nats(instance, jetstream=False, options=("--config", str(file)))
        server = Exchange(spot)
        async with server.open():
            settings = feed_settings(url.replace("//", "//us:us@"), server)
            with pytest.raises(SettingsError, match=r"NATS does not let this login publish binance\.\w+@"):
                await asyncio.wait_for(feed.binance(settings, BOTH, timeouts=IMPATIENT), HANGS_S)


@pytest.mark.parametrize("venue", ["spot", "usdm"])
async def test_all_that_is_published_is_an_event_of_the_venue(nats_url, recording, venue):
    real = recorded(recording, 300, venue)

    async with live(nats_url, Exchange(real), venue=venue) as (listener, _):
        await until(lambda: len(listener.messages) == len(real), "all frames")
        for subject, raw in listener.messages:
            event = frames.parse(raw, model.FrameMetadata(subject, 1, 1))
            assert isinstance(event, Depth | Trade)
            assert event.venue == venue


async def test_futures_books_and_trades_come_in_order_over_one_connection(nats_url, recording):
    frames_ = recorded(recording, 300, "usdm")
    server = Exchange(frames_)

    async with live(nats_url, server, venue="usdm") as (listener, _):
        await until(lambda: len(listener.messages) == len(frames_), "books and trades")
        assert [original(frame) for frame in listener.frames] == frames_
    assert server.asked_for == [
        ["btcusdt@depth20@100ms", "btcusdt@trade", "ethusdt@depth20@100ms", "ethusdt@trade"],
    ]


def test_the_address_of_both_by_default_is_the_path_that_pushes_them():
    ((url, _),) = feed.endpoints(Settings(), BOTH, choose("usdm"))
    assert url.startswith("wss://fstream.binance.com/public/stream?streams=")


async def test_other_addresses_for_books_and_trades_are_two_connections(nats_url, recording):
    server = Exchange(recorded(recording, 300, "usdm"))

    async with live(nats_url, server, venue="usdm", trades="market"):
        await until(lambda: server.connections == 2, "two connections")
    assert sorted(map(sorted, server.asked_for)) == [
        ["btcusdt@depth20@100ms", "ethusdt@depth20@100ms"],
        ["btcusdt@trade", "ethusdt@trade"],
    ]


async def test_trades_asked_for_where_none_are_pushed_are_named(nats_url, recording):
    server = Exchange(recorded(recording, 300, "usdm"))

    with capture_logs() as entries:
        async with live(nats_url, server, venue="usdm", trades="market"):
            await until(lambda: any("is there such" in entry["event"] for entry in entries), "a warning")
    assert [entry["event"] for entry in entries if "is there such" in entry["event"]] == [
        "nothing from the exchange about btcusdt@trade, ethusdt@trade: is there such a symbol on this venue?"
    ]


def test_more_streams_than_a_connection_carries_are_split():
    made = feed.endpoints(Settings(), [f"SIM{number}USDT" for number in range(450)])

    asked = [endpoint.url.partition("?streams=")[2].split("/") for endpoint in made]
    assert asked == [endpoint.streams for endpoint in made]
    assert [len(streams) for streams in asked] == [200, 200, 200, 200, 100]
    assert len({name for streams in asked for name in streams}) == 900


async def test_garbage_is_dropped_and_what_stands_between_it_goes_on(nats_url, spot):
    server = Exchange(spot, scripts.send_garbage)

    with capture_logs() as entries:
        async with live(nats_url, server) as (listener, _):
            await until(lambda: len(listener.messages) == len(spot), "all frames")
            assert [original(frame) for frame in listener.frames] == spot
            assert server.connections == 1
    # 300 pieces of garbage within ten seconds: one line.
    assert len([entry for entry in entries if "no frame" in entry["event"]]) == 1


async def test_one_unknown_symbol_among_others_is_named_in_one_warning(nats_url, spot):
    with capture_logs() as entries:
        async with live(nats_url, Exchange(spot), ["BTCUSDT", "ETHUSDT", "BTCUSTD"]) as (_, task):
            await until(lambda: any("BTCUSTD" in entry["event"] for entry in entries), "a warning")
            assert not task.done()
    warnings = [entry for entry in entries if "is there such a symbol" in entry["event"]]
    assert len(warnings) == 1
    assert "ETHUSDT" not in warnings[0]["event"]


async def test_when_no_symbol_is_known_the_feed_ends_and_names_them(nats_url, spot):
    async with live(nats_url, Exchange(spot, scripts.stay_silent), ["BTCUSTD", "ETHUSTD"]) as (_, task):
        with pytest.raises(ServerUnavailableError, match="BTCUSTD, ETHUSTD") as ended:
            await asyncio.wait_for(task, HANGS_S)
        assert "\n" not in str(ended.value)


FUTURES = "depth20,trade,aggTrade,bookTicker,kline_1m,markPrice,forceOrder"
KLINE = '{"stream":"btcusdt@kline_1m","data":{"e":"kline","s":"BTCUSDT","k":{}}}'
LIQUIDATION = '{"stream":"btcusdt@forceOrder","data":{"e":"forceOrder","o":{"s":"BTCUSDT"}}}'


async def test_a_candle_gets_its_venue_and_other_frames_none(nats_url, spot):
    sent = [KLINE, next(frame for frame in spot if "btcusdt@trade" in frame)]
    async with live(nats_url, Exchange(sent), ["BTCUSDT"], streams="kline_1m,trade") as (listener, _):
        await until(lambda: len(listener.messages) == 2, "both frames")
    assert [json.loads(frame).get("venue") for frame in listener.frames] == ["spot", None]
    assert json.loads(listener.frames[0])["data"] == json.loads(KLINE)["data"]


async def test_each_stream_of_futures_is_asked_for_where_it_is_pushed(nats_url):
    server = Exchange([])
    async with live(nats_url, server, ["BTCUSDT"], "usdm", streams=FUTURES):
        await until(lambda: server.connections == 2, "two connections")
    assert sorted(map(sorted, server.asked_for)) == [
        ["btcusdt@aggTrade", "btcusdt@forceOrder", "btcusdt@kline_1m", "btcusdt@markPrice"],
        ["btcusdt@bookTicker", "btcusdt@depth20@100ms", "btcusdt@trade"],
    ]


async def test_a_link_on_which_only_liquidations_come_is_left_alone_while_silent(nats_url, recording):
    books = [frame for frame in recorded(recording, 300, "usdm") if "btcusdt@depth20" in frame]
    server = Exchange([*books, LIQUIDATION], scripts.send_again_and_again_but_liquidations)
    with capture_logs() as entries:
        async with live(nats_url, server, ["BTCUSDT"], "usdm", streams="depth20,forceOrder") as (listener, _):
            await until(lambda: len(listener.messages) > 1_000 * IMPATIENT.stall_s, "books for longer than a stall")
            assert server.connections == 2
    assert [entry["event"] for entry in entries if entry["log_level"] == "warning"] == []
