"""The page's files and its stream of events, over real connections."""

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from prometheus_client import CollectorRegistry

from compose.local.processes import ROOT
from ingest.counters import Counters
from ingest.lanes import LaneLimits, Lanes
from ingest.ledger import IngestLedger
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.recent_counts import RecentCounts
from ingest.monitoring.unused_frames import UnusedFrames
from ingest.page.http import MAX_WATCHERS, TICK_S, Page
from ingest.page.page_state import PageSources, PageState, message
from tasks.ledger import LedgerKeys
from tasks.protocol.counters import Counts
from tasks.protocol.routing import Router
from tasks.scoring.live_returns import LiveReturns
from tasks.settings import Settings
from tasks.telemetry.http_server import Address, serve
from tests.support.frames.wire import SPOT_TRADE, packed
from tests.support.service import ingest, publish
from tests.support.waiting import HANGS_S
from tests.unit.ingest.page.test_page_state import signal


@pytest.fixture
def settings(nats_url: str, redis_url: str, namespace: str) -> Settings:
    return Settings(nats_url=nats_url, redis_url=redis_url, namespace=namespace)


class Stream:
    """A browser that reads the events."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def status(self) -> int:
        return int((await self._reader.readuntil(b"\r\n\r\n")).split()[1])

    async def next(self, wanted: str) -> Any:
        """Return the data of the next event of that name."""
        async with asyncio.timeout(HANGS_S):
            while True:
                line = (await self._reader.readuntil(b"\n")).strip()
                if line == b"event: " + wanted.encode():
                    return json.loads((await self._reader.readuntil(b"\n")).removeprefix(b"data: "))


@asynccontextmanager
async def watching(port: int, own_address: str = "127.0.0.1") -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24, local_addr=(own_address, 0))
    writer.write(b"GET /events HTTP/1.0\r\n\r\n")
    try:
        yield Stream(reader)
    finally:
        writer.close()


@asynccontextmanager
async def serving(settings: Settings, tick_s: float = TICK_S) -> AsyncIterator[tuple[Page, int]]:
    """Serve a page in this process, as ingest does; its loops do not run."""
    around: Any = SimpleNamespace(seen=None, times=RecentCounts(), other_ledgers=SimpleNamespace(counts=Counts()))
    sources = PageSources(
        Counters(),
        Lanes(Router(()), LaneLimits(1, 1)),
        around,
        _well,
        FeedWatch(),
        UnusedFrames(30.0),
        dict,
        around,
        LiveReturns(),
    )
    ledger = IngestLedger(settings)
    page = Page(PageState(settings, sources), ledger, dict, tick_s)
    server, port = serve(
        Address("HTTP_PORT", "127.0.0.1", 0, strict=True), _well, _well, CollectorRegistry(), page.routes
    )
    try:
        yield page, port
    finally:
        server.stop()
        await server.close_all_connections()
        await ledger.close()


def _well() -> tuple[bool, dict[str, Any]]:
    return True, {}


async def until(condition: Any) -> None:
    async with asyncio.timeout(HANGS_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_page_tells_earlier_signals_then_prices_and_new_signals(nats_url, redis_url, namespace):
    key = LedgerKeys(namespace).signals

    with redis.Redis.from_url(redis_url) as client:
        client.xadd(key, {"signal": signal("earlier")})
        client.xgroup_create(key, "relay", id="$")
        with ingest(nats_url, redis_url, namespace, SIGNAL_MAX_AGE_S="0") as service:
            service.wait_ready()
            async with watching(service.port) as stream:
                assert await stream.status() == 200
                hello = await stream.next("hello")
                assert [each["id"] for each in hello["signals"]] == ["earlier"]
                await publish(nats_url, (f"{namespace}.x", packed(SPOT_TRADE)))
                while not (tick := await stream.next("tick"))["symbols"]:
                    pass
                [row] = tick["symbols"]
                assert (row["symbol"], row["trade"], row["events"]) == ("BTCUSDT", 0.001, 1)
                client.xadd(key, {"signal": signal("new")})
                assert [each["id"] for each in await stream.next("signals")] == ["new"]


async def test_who_watches_before_the_ledger_was_read_gets_earlier_signals(settings: Settings, redis_url: str):
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(LedgerKeys(settings.namespace).signals, {"signal": signal("earlier")})
    async with serving(settings) as (page, port), watching(port) as stream:
        assert (await stream.next("hello"))["signals"] == []
        running = asyncio.create_task(page.run())
        assert [each["id"] for each in (await stream.next("hello"))["signals"]] == ["earlier"]
        running.cancel()


async def test_earlier_signals_are_those_of_all_ledgers_that_answer(redis_url: str, namespace: str):
    server, key = redis_url.removesuffix("/0"), LedgerKeys(namespace).signals
    for database, ms in (("0", 1), ("0", 3), ("1", 2)):
        with redis.Redis.from_url(f"{server}/{database}") as client:
            client.xadd(key, {"signal": signal(str(ms))}, id=f"{ms}-0")
    urls = f"{server}/0 {server}/1 redis://127.0.0.1:9/0"
    split = Settings(redis_url=redis_url, ledger_urls=urls, nats_partitions=3, ingest_shard="0/3", namespace=namespace)
    async with serving(split) as (page, port):
        running = asyncio.create_task(page.run())
        async with watching(port) as stream:
            while not (shown := [each["id"] for each in (await stream.next("hello"))["signals"]]):
                pass
        running.cancel()
    assert shown == ["1", "2", "3"]


async def test_earlier_signals_of_a_ledger_come_when_it_answers_again(redis_url: str, namespace: str):
    first, second = (f"{redis_url.removesuffix('/0')}/{database}" for database in (0, 1))
    key = LedgerKeys(namespace).signals
    urls = f"{first} {second}"
    split = Settings(redis_url=first, ledger_urls=urls, nats_partitions=2, ingest_shard="0/2", namespace=namespace)
    with redis.Redis.from_url(first) as own, redis.Redis.from_url(second) as other:
        for ms in (1, 3):
            own.xadd(key, {"signal": signal(str(ms))}, id=f"{ms}-0")
        other.set(key, "refused")
        async with serving(split) as (page, port):
            running = asyncio.create_task(page.run())
            async with watching(port) as stream:
                while not (shown := [each["id"] for each in (await stream.next("hello"))["signals"]]):
                    pass
                assert shown == ["1", "3"]
                other.delete(key)
                other.xadd(key, {"signal": signal("2")}, id="2-0")
                while "2" not in (shown := [each["id"] for each in (await stream.next("hello"))["signals"]]):
                    pass
                assert shown == ["1", "2", "3"]
            running.cancel()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS_S)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]  # the connection closes before the test looks
        return answer


async def test_only_the_files_that_there_are_are_served_and_only_for_reading(settings: Settings):
    async with serving(settings) as (_, port):
        first = await asyncio.to_thread(ask, port, "/")
        assert (first.status, first.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in first.headers["Content-Security-Policy"]
        again = await asyncio.to_thread(ask, port, "/", **{"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")  # type: ignore[attr-defined]
        script = await asyncio.to_thread(ask, port, "/web/page.js")
        assert (script.status, script.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
        for path in ("/web", "/web/", "/web/none.js", "/web/pageXjs", "/web/../live.py", "/web/%2e%2e/live.py"):
            assert (await asyncio.to_thread(ask, port, path)).status == 404, path
        for path in ("/", "/events", "/web/page.js"):
            assert (await asyncio.to_thread(ask, port, path, "POST")).status == 405, path
        assert (await asyncio.to_thread(ask, port, "/events", "HEAD")).status == 200


async def test_a_signal_and_a_chart_are_served_when_asked_for(settings: Settings):
    async with serving(settings) as (page, port):
        packed = signal("some:id/with signs")
        page.state.relayed(b"1-0", packed)
        answer = await asyncio.to_thread(ask, port, "/signals/some%3Aid%2Fwith%20signs")
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/json", packed)  # type: ignore[attr-defined]
        assert (await asyncio.to_thread(ask, port, "/signals/none")).status == 404
        assert (await asyncio.to_thread(ask, port, "/signals/none/event")).status == 404
        chart = await asyncio.to_thread(ask, port, "/history/spot:NONE")
        assert json.loads(chart.body)["times_ms"] == json.loads(chart.body)["marks"] == []  # type: ignore[attr-defined]


async def test_no_client_holds_all_streams_of_events(settings: Settings):
    async with serving(settings) as (page, port), AsyncExitStack() as stack:
        theirs = [await stack.enter_async_context(watching(port)) for _ in range(MAX_WATCHERS)]
        assert {await each.status() for each in theirs} == {200}
        async with watching(port, own_address="127.0.0.2") as welcome:
            assert await welcome.status() == 200
            assert len(page.watchers) == MAX_WATCHERS
            with pytest.raises(asyncio.IncompleteReadError):
                await theirs[0].next("none")
            await welcome.next("hello")


async def test_a_page_called_by_a_foreign_name_is_not_read(settings: Settings):
    async with serving(settings) as (_, port):
        for path in ("/", "/web/page.js", "/events", "/ready"):
            answer = await asyncio.to_thread(ask, port, path, Host=f"rebound.example:{port}")
            assert (answer.status, answer.body) == (  # type: ignore[attr-defined]
                403,
                b"403 Forbidden: HTTP_ALLOWED_HOSTS does not name this host\n",
            )


async def test_one_watcher_too_many_is_refused_until_another_goes(settings: Settings):
    async with serving(settings) as (page, port), AsyncExitStack() as stack:
        last = AsyncExitStack()
        for number in range(MAX_WATCHERS):
            watcher = await (last if number == 0 else stack).enter_async_context(watching(port))
            assert await watcher.status() == 200
        async with watching(port) as refused:
            assert await refused.status() == 503
        await last.aclose()
        await until(lambda: len(page.watchers) == MAX_WATCHERS - 1)
        async with watching(port) as welcome:
            assert await welcome.status() == 200


async def test_a_browser_that_does_not_read_is_cut_off_and_the_others_go_on(settings: Settings):
    async with serving(settings) as (page, port), watching(port) as reading:
        await reading.next("hello")
        with closing(socket.socket()) as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", port))
            stuck.sendall(b"GET /events HTTP/1.0\r\n\r\n")
            await until(lambda: len(page.watchers) == 2)
            for number in range(200):
                for watcher in page.watchers:
                    watcher.send(message("big", {"number": number, "text": "x" * 200_000}))
                assert (await reading.next("big"))["number"] == number
                if len(page.watchers) == 1:
                    break
            await until(lambda: len(page.watchers) == 1)
        assert page.state.tick(watched=True)


async def test_whatever_goes_wrong_the_page_ticks_again(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def broken(*, watched: bool) -> list[bytes]:
        calls.append(watched)
        raise ZeroDivisionError

    async with serving(settings, tick_s=0.01) as (page, _):
        monkeypatch.setattr(page.state, "tick", broken)
        running = asyncio.create_task(page.run())
        await until(lambda: len(calls) > 2)
        assert not running.done()
        running.cancel()


def test_the_vendored_library_has_its_licence_beside_it():
    [folder] = (ROOT / "ingest" / "page" / "web" / "vendor").iterdir()
    name, _, version = folder.name.partition("-")
    assert f"{name.lower()} (v{version})" in (folder / "uPlot.iife.min.js").read_text()[:100].lower()
    assert "MIT License" in (folder / "LICENSE").read_text()
