"""The live feed's links to an exchange that closes, refuses or stalls, and to one behind a proxy."""

import asyncio
import itertools
from collections import Counter
from http import HTTPStatus
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from compose.local.servers import free_port
from ingest.feeds import binance as feed
from ingest.feeds.link import Link, LinkTimeouts, _abandon
from tasks.errors import ServerUnavailableError, SettingsError
from tasks.protocol import feed_report
from tasks.protocol.ingest_status import STATUS_SUBJECT
from tasks.settings import Settings
from tests.support.feeds import listening, until
from tests.support.live_feed import IMPATIENT, live, original
from tests.support.servers import exchange as scripts
from tests.support.servers.exchange import Exchange, recorded
from tests.support.servers.socks import socks
from tests.support.waiting import HANGS_S, cancelled


def is_well(request: bytes) -> bool:
    report = feed_report.decode(request)
    return report is not None and not report.silent


async def test_a_silent_stream_is_reported_once_and_its_link_reopened(nats_url, recording):
    """Ingest is told too, until the stream speaks again."""
    server = Exchange(
        recorded(recording, 300, "spot"), scripts.send_again_and_again_but_trades, scripts.send_again_and_again
    )
    timeouts = IMPATIENT._replace(renew_s=1.0)

    with capture_logs() as entries:
        async with listening(nats_url, STATUS_SUBJECT) as told, live(nats_url, server, timeouts=timeouts):
            await until(lambda: any("deliver again" in entry["event"] for entry in entries), "the trades")
            reports = [feed_report.decode(request) for request in told.frames]
            assert all(reports)
            silent = [[each.stream for each in report.named] for report in reports if report]
            assert ["btcusdt@trade", "ethusdt@trade"] in silent
            last = feed_report.decode(told.frames[-1])
            await until(lambda: is_well(told.frames[-1]), f"a report without silent streams after {last}")
    # The first link was read until the second stood, and only then let go.
    kinds = Counter(entry["event"].partition(":")[0].partition(" about ")[0] for entry in entries)
    # On a slow machine the second may be silent for so long, too, that a third is opened, and the streams come back twice.
    assert server.connections == 1 + kinds.pop("reopening the link") > 1
    assert kinds.pop("streams deliver again") >= 1
    assert kinds == {"going live": 1, "nothing from the exchange": 1, "the feed has ended": 1}


@pytest.mark.parametrize(
    "misbehaviour", [scripts.send_some_and_close, scripts.send_some_and_abort, scripts.send_some_and_stall]
)
async def test_a_link_that_closes_breaks_or_stalls_is_opened_again(nats_url, spot, misbehaviour):
    server = Exchange(spot, misbehaviour, misbehaviour, scripts.send_all)

    async with live(nats_url, server) as (listener, _):
        await until(lambda: len(listener.messages) == 10 + 10 + len(spot), "what all three connections sent")
        assert server.connections == 3


async def test_an_exchange_that_refuses_for_a_while_is_asked_again(nats_url, spot):
    server = Exchange(spot)
    server.refusals = 4

    async with live(nats_url, server) as (listener, _):
        await until(lambda: len(listener.messages) == len(spot), "all frames")
    assert server.refusals == 0


async def test_a_country_that_is_not_served_ends_the_feed_at_once(nats_url, spot):
    server = Exchange(spot)
    server.refusals, server.refuse_with = 10, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS

    async with live(nats_url, server) as (_, task):
        with pytest.raises(ServerUnavailableError, match="451"):
            await asyncio.wait_for(task, HANGS_S)
    assert server.refusals == 9


def test_waits_grow_with_every_failure_and_differ_between_feeds():
    timeouts = LinkTimeouts(backoff_s=1, backoff_max_s=8)
    waits = {failures: {timeouts.draw_backoff_s(failures) for _ in range(200)} for failures in (1, 2, 3, 4, 5, 50)}

    # Half of 1, 2, 4, 8 and then always 8 seconds, and up to all of it.
    assert {failures: (min(some) >= half, max(some) <= 2 * half) for (failures, some), half in zip(waits.items(), (0.5, 1, 2, 4, 4, 4), strict=True)} == dict.fromkeys(waits, (True, True))  # fmt: skip
    assert all(len(some) > 100 for some in waits.values())


async def test_pings_are_answered(nats_url, spot):
    server = Exchange(spot, scripts.ping_then_send)

    async with live(nats_url, server) as (listener, _):
        await until(lambda: len(listener.messages) == 5, "frames behind pings")
    assert server.pongs == 5


async def test_an_old_link_is_replaced_by_a_fresh_one_without_a_gap(nats_url, recording):
    trades = [frame for frame in recorded(recording, 3000, "spot", ["BTCUSDT"]) if "btcusdt@trade" in frame]
    server = Exchange(trades, scripts.send_again_and_again)

    async with live(nats_url, server, ["BTCUSDT"], timeouts=IMPATIENT._replace(max_age_s=0.3)) as (listener, task):
        await until(lambda: server.connections >= 4, "three changes")
        # Every connection begins with the first frame: after a change the feed goes back, it never jumps ahead.
        order = [trades.index(original(frame)) for frame in listener.frames]
        steps = {later - earlier for earlier, later in itertools.pairwise(order)}
        assert {step for step in steps if step > 0} == {1}
        assert not task.done()


async def test_a_proxy_that_is_down_is_named_and_not_the_exchange(monkeypatch):
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("WS_PROXY", f"http://me:hunter2@{address}")
    monkeypatch.setenv("NO_PROXY", "")
    link = Link("ws://exchange.example/stream?streams=x", lambda *_: asyncio.sleep(0), IMPATIENT)

    with capture_logs() as logs:
        task = asyncio.create_task(link.run())
        await until(lambda: bool(logs), "a warning")
        await cancelled(task)
    assert (logs[0]["event"], logs[0]["proxy"]) == ("the proxy can't be reached, retrying", address)
    assert "hunter2" not in str(logs)


@pytest.mark.parametrize("value", ["foo://127.0.0.1:1", "socks5h://127.0.0.1:1"])
async def test_a_proxy_that_cant_be_used_ends_the_feed_before_it_waits_for_nats(monkeypatch, value):
    monkeypatch.setenv("HTTPS_PROXY", value)
    monkeypatch.setattr("ingest.feeds.proxy.find_spec", lambda _: None)
    settings = Settings(nats_url=f"nats://127.0.0.1:{free_port()}")
    with pytest.raises(SettingsError, match="HTTPS_PROXY or its like: "):
        await feed.binance(settings, ["BTCUSDT"])


async def test_the_exchange_is_reached_through_a_socks_proxy(monkeypatch, spot):
    monkeypatch.setenv("NO_PROXY", "")
    received: list[bytes] = []

    async def deliver(_: str, raw: bytes) -> None:
        received.append(raw)

    asked_for: list[str] = []
    async with Exchange(spot).open() as server, socks(asked_for) as address:
        monkeypatch.setenv("WS_PROXY", f"socks5h://{address}")
        url = server.url.replace("127.0.0.1", "exchange.example") + "?streams=btcusdt@trade"
        task = asyncio.create_task(Link(url, deliver, IMPATIENT).run())
        await until(lambda: len(received) >= len(spot), "all frames")
        await cancelled(task)
        assert set(asked_for) == {"exchange.example"}


async def test_a_websocket_that_stands_as_the_feed_ends_is_closed():
    socket = AsyncMock()
    opening = asyncio.create_task(asyncio.sleep(0, socket))
    await asyncio.wait({opening})
    await _abandon(opening)
    socket.close.assert_awaited_once()
