"""The live feed against a local exchange that plays a recording and misbehaves."""

import asyncio
import itertools
import json
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.util import find_spec

import pytest
from structlog.testing import capture_logs

from compose.local.processes import Instance
from compose.local.servers import free_port, start_nats
from ingest.feeds import binance as feed
from ingest.feeds import link, stream_watch
from ingest.feeds.link import Link, Patience
from tasks import feed_report, frame_parts, frames
from tasks.errors import ServerAwayError, SettingsError
from tasks.events import Depth, Trade
from tasks.settings import Settings
from tasks.status import STATUS_SUBJECT
from tests import exchange as scripts
from tests.exchange import Exchange, recorded
from tests.feeds import Listener, cancelled, listening, logged, until
from tests.needs import missing
from tests.socks import socks

#: Short enough for a test, and still in the proportions of the real ones.
IMPATIENT = Patience(
    stall_s=0.5,
    streams=stream_watch.Patience(books_s=0.5, trades_s=0.5),
    look_s=0.1,
    renew_s=math.inf,
    backoff_s=0.01,
    backoff_max_s=0.05,
)
BOTH = ["BTCUSDT", "ETHUSDT"]


@pytest.fixture
def spot(recording) -> list[str]:
    return recorded(recording, 300, "spot")


def settings(nats_url: str, server: Exchange, trades: str = "public") -> Settings:
    return Settings(
        nats_url=nats_url,
        binance_spot_url=server.url,
        binance_usdm_depth_url=server.route("public"),
        binance_usdm_trade_url=server.route(trades),
    )


@asynccontextmanager
async def live(
    nats_url: str, server: Exchange, symbols=BOTH, venue="spot", patience=IMPATIENT, trades="public"
) -> AsyncIterator[tuple[Listener, "asyncio.Task[None]"]]:
    async with server.open(), listening(nats_url) as listener:
        task = asyncio.create_task(feed.binance(settings(nats_url, server, trades), list(symbols), venue, patience))
        try:
            yield listener, task
        finally:
            await cancelled(task)


def original(frame: bytes) -> str:
    """A published frame without the time that the feed added."""
    text = frame.decode()
    return text[: text.rindex(',"received_at":')] + "}"


def test_each_frame_is_published_on_its_streams_subject_with_every_byte_of_the_exchange(nats_url, spot):
    async def main() -> None:
        async with live(nats_url, Exchange(spot)) as (listener, _):
            await until(lambda: len(listener.messages) == len(spot), "all frames")

            assert [original(frame) for frame in listener.frames] == spot
            assert listener.subjects == [f"binance.{json.loads(frame)['stream']}" for frame in spot]
            assert all(type(json.loads(frame)["received_at"]) is int for frame in listener.frames)

    asyncio.run(main())


def test_a_live_feed_whose_subjects_nats_does_not_let_us_publish_ends_with_the_reason(spot):
    async def main(url: str) -> None:
        server = Exchange(spot)
        async with server.open():
            with pytest.raises(SettingsError, match=r"NATS does not let this login publish binance\.\w+@"):
                await asyncio.wait_for(feed.binance(settings(url, server), BOTH, "spot", IMPATIENT), 15)

    with Instance("live") as instance:
        file = instance.directory / "rights.conf"
        file.write_text(
            'authorization { default_permissions: { publish: "_INBOX.>" }, users: [{ user: us, password: us }] }'
        )
        url = start_nats(instance, jetstream=False, options=("--config", str(file)))[1]
        asyncio.run(main(url.replace("//", "//us:us@")))


@pytest.mark.parametrize("venue", ["spot", "usdm"])
def test_all_that_is_published_is_an_event_of_the_venue(nats_url, recording, venue):
    real = recorded(recording, 300, venue)

    async def main() -> None:
        async with live(nats_url, Exchange(real), venue=venue) as (listener, _):
            await until(lambda: len(listener.messages) == len(real), "all frames")
            for subject, raw in listener.messages:
                event = frames.parse(raw, frame_parts.Arrival(subject, 1, 1))
                assert isinstance(event, Depth | Trade)
                assert event.venue == venue

    asyncio.run(main())


def test_futures_books_and_trades_come_over_one_connection_each_at_its_turn(nats_url, recording):
    frames_ = recorded(recording, 300, "usdm")
    server = Exchange(frames_)

    async def main() -> None:
        async with live(nats_url, server, venue="usdm") as (listener, _):
            await until(lambda: len(listener.messages) == len(frames_), "books and trades")
            assert [original(frame) for frame in listener.frames] == frames_

    asyncio.run(main())
    assert server.asked_for == [
        ["btcusdt@depth20@100ms", "btcusdt@trade", "ethusdt@depth20@100ms", "ethusdt@trade"],
    ]


def test_the_address_of_both_by_default_is_the_path_that_pushes_them():
    ((url, _),) = feed.endpoints(Settings(), "usdm", BOTH)
    assert url.startswith("wss://fstream.binance.com/public/stream?streams=")


def test_other_addresses_for_books_and_trades_are_two_connections(nats_url, recording):
    server = Exchange(recorded(recording, 300, "usdm"))

    async def main() -> None:
        async with live(nats_url, server, venue="usdm", trades="market"):
            await until(lambda: server.connections == 2, "two connections")

    asyncio.run(main())
    assert sorted(map(sorted, server.asked_for)) == [
        ["btcusdt@depth20@100ms", "ethusdt@depth20@100ms"],
        ["btcusdt@trade", "ethusdt@trade"],
    ]


def test_trades_asked_for_where_none_are_pushed_are_named(nats_url, recording, monkeypatch):
    entries = logged(monkeypatch, feed)
    server = Exchange(recorded(recording, 300, "usdm"))

    async def main() -> None:
        async with live(nats_url, server, venue="usdm", trades="market"):
            await until(lambda: any("is there such" in entry["event"] for entry in entries), "a warning")

    asyncio.run(main())
    assert [entry["event"] for entry in entries if "is there such" in entry["event"]] == [
        "nothing from the exchange about btcusdt@trade, ethusdt@trade: is there such a symbol on this venue?"
    ]


def is_well(request: bytes) -> bool:
    report = feed_report.decode(request)
    return report is not None and not report.silent


def test_a_stream_that_falls_silent_is_told_once_to_the_log_and_to_ingest_and_its_link_is_opened_anew(
    nats_url, recording, monkeypatch
):
    entries = logged(monkeypatch, feed, link)
    server = Exchange(
        recorded(recording, 300, "spot"), scripts.send_again_and_again_but_trades, scripts.send_again_and_again
    )
    patience = IMPATIENT._replace(renew_s=1.0)

    async def main() -> None:
        async with listening(nats_url, STATUS_SUBJECT) as told, live(nats_url, server, patience=patience):
            await until(lambda: any("speak again" in entry["event"] for entry in entries), "the trades")
            reports = [feed_report.decode(request) for request in told.frames]
            assert all(reports)
            silent = [[each.stream for each in report.named] for report in reports if report]
            assert ["btcusdt@trade", "ethusdt@trade"] in silent
            last = feed_report.decode(told.frames[-1])
            await until(lambda: is_well(told.frames[-1]), f"a report without silent streams after {last}")

    asyncio.run(main())
    # The first link was read until the second stood, and only then let go.
    assert server.connections == 2
    kinds = Counter(entry["event"].partition(":")[0].partition(" about ")[0] for entry in entries)
    assert kinds == {
        "going live": 1,
        "nothing from the exchange": 1,
        "opening the link anew": 1,
        "streams speak again": 1,
    }


def test_more_streams_than_a_connection_carries_are_split():
    made = feed.endpoints(Settings(), "spot", [f"SIM{number}USDT" for number in range(450)])

    asked = [endpoint.url.partition("?streams=")[2].split("/") for endpoint in made]
    assert asked == [endpoint.streams for endpoint in made]
    assert [len(streams) for streams in asked] == [200, 200, 200, 200, 100]
    assert len({name for streams in asked for name in streams}) == 900


@pytest.mark.parametrize(
    "misbehaviour", [scripts.send_some_and_close, scripts.send_some_and_abort, scripts.send_some_and_stall]
)
def test_a_link_that_closes_breaks_or_stalls_is_opened_again(nats_url, spot, misbehaviour):
    server = Exchange(spot, misbehaviour, misbehaviour, scripts.send_all)

    async def main() -> None:
        async with live(nats_url, server) as (listener, _):
            await until(lambda: len(listener.messages) == 10 + 10 + len(spot), "what all three connections sent")
            assert server.connections == 3

    asyncio.run(main())


def test_an_exchange_that_refuses_for_a_while_is_asked_again(nats_url, spot):
    server = Exchange(spot)
    server.refusals = 4

    async def main() -> None:
        async with live(nats_url, server) as (listener, _):
            await until(lambda: len(listener.messages) == len(spot), "all frames")

    asyncio.run(main())
    assert server.refusals == 0


def test_a_country_that_is_not_served_ends_the_feed_at_once(nats_url, spot):
    server = Exchange(spot)
    server.refusals, server.refuse_with = 10, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS

    async def main() -> None:
        async with live(nats_url, server) as (_, task):
            with pytest.raises(ServerAwayError, match="451"):
                await asyncio.wait_for(task, 10)

    asyncio.run(main())
    assert server.refusals == 9


def test_waits_grow_with_every_failure_and_differ_between_feeds():
    link = Link("ws://127.0.0.1/stream?streams=", lambda *_: asyncio.sleep(0), Patience(backoff_s=1, backoff_max_s=8))
    waits = {}
    for failures in (1, 2, 3, 4, 5, 50):
        link._failures = failures
        waits[failures] = {link._backoff_s() for _ in range(200)}

    # Half of 1, 2, 4, 8 and then always 8 seconds, and up to all of it.
    assert {failures: (min(some) >= half, max(some) <= 2 * half) for (failures, some), half in zip(waits.items(), (0.5, 1, 2, 4, 4, 4), strict=True)} == dict.fromkeys(waits, (True, True))  # fmt: skip
    assert all(len(some) > 100 for some in waits.values())


def test_garbage_is_dropped_and_what_stands_between_it_goes_on(nats_url, spot, monkeypatch):
    entries = logged(monkeypatch, feed, link)
    server = Exchange(spot, scripts.send_garbage)

    async def main() -> None:
        async with live(nats_url, server) as (listener, _):
            await until(lambda: len(listener.messages) == len(spot), "all frames")
            assert [original(frame) for frame in listener.frames] == spot
            assert server.connections == 1

    asyncio.run(main())
    # 300 pieces of garbage within ten seconds: one line.
    assert len([entry for entry in entries if "no frame" in entry["event"]]) == 1


def test_pings_are_answered(nats_url, spot):
    server = Exchange(spot, scripts.ping_then_send)

    async def main() -> None:
        async with live(nats_url, server) as (listener, _):
            await until(lambda: len(listener.messages) == 5, "frames behind pings")

    asyncio.run(main())
    assert server.pongs == 5


def test_an_old_link_is_replaced_by_a_fresh_one_without_a_gap(nats_url, recording):
    trades = [frame for frame in recorded(recording, 3000, "spot", ["BTCUSDT"]) if "btcusdt@trade" in frame]
    server = Exchange(trades, scripts.send_again_and_again)

    async def main() -> None:
        async with live(nats_url, server, ["BTCUSDT"], patience=IMPATIENT._replace(max_age_s=0.3)) as (listener, task):
            await until(lambda: server.connections >= 4, "three changes")
            # Every connection begins with the first frame: after a change the feed goes back, it never jumps ahead.
            order = [trades.index(original(frame)) for frame in listener.frames]
            steps = {later - earlier for earlier, later in itertools.pairwise(order)}
            assert {step for step in steps if step > 0} == {1}
            assert not task.done()

    asyncio.run(main())


def test_one_unknown_symbol_among_others_is_named_in_one_warning(nats_url, spot, monkeypatch):
    entries = logged(monkeypatch, feed)

    async def main() -> None:
        async with live(nats_url, Exchange(spot), ["BTCUSDT", "ETHUSDT", "BTCUSTD"]) as (_, task):
            await until(lambda: any("BTCUSTD" in entry["event"] for entry in entries), "a warning")
            assert not task.done()

    asyncio.run(main())
    warnings = [entry for entry in entries if "is there such a symbol" in entry["event"]]
    assert len(warnings) == 1
    assert "ETHUSDT" not in warnings[0]["event"]


def test_when_no_symbol_is_known_the_feed_ends_and_names_them(nats_url, spot):
    async def main() -> None:
        async with live(nats_url, Exchange(spot, scripts.stay_silent), ["BTCUSTD", "ETHUSTD"]) as (_, task):
            with pytest.raises(ServerAwayError, match="BTCUSTD, ETHUSTD") as ended:
                await asyncio.wait_for(task, 10)
            assert "\n" not in str(ended.value)

    asyncio.run(main())


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC USDT", "B", "", "btcusdt@trade", "x" * 41])
def test_what_cannot_be_a_symbol_is_refused_at_once(symbol):
    with pytest.raises(SettingsError, match="is not a symbol"):
        feed.check([symbol])


@pytest.mark.parametrize(("symbol", "market"), [("btcusd_perp", "COIN-M"), ("BTC-261226-100000-C", "options")])
def test_a_symbol_of_another_market_is_refused_by_name(symbol, market):
    with pytest.raises(SettingsError, match=f"{symbol.upper()} is of .*{market}"):
        feed.check([symbol])


def test_symbols_are_taken_in_any_case_and_once():
    assert feed.check(["btcusdt", "ETHUSDT", "BTCUSDT"]) == ["BTCUSDT", "ETHUSDT"]


def test_a_proxy_that_is_down_is_named_and_not_the_exchange(monkeypatch):
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("WS_PROXY", f"http://me:hunter2@{address}")
    monkeypatch.setenv("NO_PROXY", "")
    link = Link("ws://exchange.example/stream?streams=x", lambda *_: asyncio.sleep(0), IMPATIENT)

    async def main() -> None:
        task = asyncio.create_task(link.run())
        await until(lambda: bool(logs), "a warning")
        await cancelled(task)

    with capture_logs() as logs:
        asyncio.run(main())
    assert (logs[0]["event"], logs[0]["proxy"]) == ("the proxy can't be reached, trying again", address)
    assert "hunter2" not in str(logs)


@pytest.mark.parametrize("value", ["foo://127.0.0.1:1", "socks5h://127.0.0.1:1"])
def test_a_proxy_that_cant_be_used_ends_the_feed_before_it_waits_for_nats(monkeypatch, value):
    monkeypatch.setenv("HTTPS_PROXY", value)
    monkeypatch.setattr("ingest.feeds.proxy.find_spec", lambda _: None)
    settings = Settings(nats_url=f"nats://127.0.0.1:{free_port()}")
    with pytest.raises(SettingsError, match="HTTPS_PROXY or its like: "):
        asyncio.run(feed.binance(settings, ["BTCUSDT"], "spot"))


def test_the_exchange_is_reached_through_a_socks_proxy(monkeypatch, spot):
    if find_spec("python_socks") is None:
        missing("python-socks is not installed")
    monkeypatch.setenv("NO_PROXY", "")
    received: list[bytes] = []

    async def deliver(_: str, raw: bytes) -> None:
        received.append(raw)

    async def main() -> None:
        asked_for: list[str] = []
        async with Exchange(spot).open() as server, socks(asked_for) as address:
            monkeypatch.setenv("WS_PROXY", f"socks5h://{address}")
            url = server.url.replace("127.0.0.1", "exchange.example") + "?streams=btcusdt@trade"
            task = asyncio.create_task(Link(url, deliver, IMPATIENT).run())
            await until(lambda: len(received) >= len(spot), "all frames")
            await cancelled(task)
            assert set(asked_for) == {"exchange.example"}

    asyncio.run(main())
