"""Requests for snapshots: through proxies, with TLS, and what an exchange may answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs
from websockets.proxy import parse_proxy

from compose.local.servers import free_port
from ingest.feeds.snapshots import SnapshotClient, SnapshotPlan, plan
from ingest.feeds.tunnel import TunnelClient
from tasks.books.diffs import Snapshot
from tasks.errors import ServerUnavailableError, SettingsError
from tasks.settings import Settings
from tests.support.books.live import TIMINGS
from tests.support.live_feed import IMPATIENT
from tests.support.servers.connect_proxy import connect_proxy
from tests.support.servers.diff_exchange import Answer, DiffExchange, broken, fresh, not_served, too_often, unavailable
from tests.support.servers.nats_logins import Certificates
from tests.support.servers.socks import socks
from tests.support.servers.tcp import tcp_server

FAR = "http://exchange.example"


def client(url: str) -> SnapshotClient:
    return SnapshotClient(SnapshotPlan(url, 1000, 1000), TIMINGS, IMPATIENT)


async def fetched(url: str) -> Snapshot | None:
    asking = client(url)
    try:
        return await asking.fetch("BTCUSDT")
    finally:
        asking.close()


@asynccontextmanager
async def exchange(*answers: Answer) -> AsyncIterator[DiffExchange]:
    async with DiffExchange("spot", answers or [fresh]).open() as server:
        yield server


async def test_a_snapshot_is_what_the_exchange_has():
    async with exchange() as server:
        snapshot = await fetched(server.rest_url)
    assert snapshot
    top = snapshot.book.top(5)
    assert top
    bids, asks = server.markets["BTCUSDT"].history[snapshot.last_update_id].top(5)
    assert (top.bids, top.asks) == ([tuple(level) for level in bids], [tuple(level) for level in asks])
    assert server.asked_snapshots == [("BTCUSDT", 1000)]


def test_the_plans_are_the_exchanges_addresses_and_limits():
    assert plan(Settings(), "spot") == ("https://api.binance.com/api/v3/depth", 5000, 12)
    assert plan(Settings(), "usdm") == ("https://fapi.binance.com/fapi/v1/depth", 1000, 60)


@pytest.mark.parametrize("login", ["", "me:hunter2@"])
async def test_an_http_proxy_is_used_where_there_is_one(monkeypatch, login):
    monkeypatch.setenv("NO_PROXY", "")
    heads: list[str] = []
    async with exchange() as server, connect_proxy(heads) as address:
        monkeypatch.setenv("WS_PROXY", f"http://{login}{address}")
        assert await fetched(server.rest_url.replace("127.0.0.1", "exchange.example"))
    assert heads[0].startswith("CONNECT exchange.example:")
    assert ("Proxy-Authorization: Basic bWU6aHVudGVyMg==" in heads[0]) == bool(login)


async def test_a_socks_proxy_is_used_where_there_is_one(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    asked_for: list[str] = []
    async with exchange() as server, socks(asked_for) as address:
        monkeypatch.setenv("WS_PROXY", f"socks5h://{address}")
        assert await fetched(server.rest_url.replace("127.0.0.1", "exchange.example"))
    assert asked_for == ["exchange.example"]


async def test_tls_goes_through_the_proxy_to_the_exchange(certificates: Certificates):
    """The exchange's certificate is checked, as without a proxy."""
    trusted = ssl.create_default_context(cafile=certificates.ca)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server)
    answered: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered.append(await reader.readline())
        writer.write(b"hello\n")

    async with connect_proxy([]) as address, tcp_server(answer, context) as port:
        tunnel = TunnelClient(parse_proxy(f"http://{address}"))
        stream = await tunnel.connect("127.0.0.1", port, ssl_options=trusted)
        await stream.write(b"hi\n")
        assert await stream.read_until(b"\n") == b"hello\n"
        stream.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await tunnel.connect("127.0.0.1", port, ssl_options=ssl.create_default_context())
    assert answered == [b"hi\n"]


async def test_a_proxy_that_refuses_or_is_down_is_named(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "")
    heads: list[str] = []
    with capture_logs() as entries:
        async with connect_proxy(heads, "407 Proxy Authentication Required") as address:
            monkeypatch.setenv("WS_PROXY", f"http://me:hunter2@{address}")
            assert await fetched(FAR) is None
        down = f"127.0.0.1:{free_port()}"
        monkeypatch.setenv("WS_PROXY", f"http://me:hunter2@{down}")
        assert await fetched(FAR) is None
    assert [(entry["event"], entry["proxy"]) for entry in entries] == [
        ("the proxy does not let us through, retrying", address),
        ("the proxy can't be reached, retrying", down),
    ]
    assert "407" in entries[0]["why"]
    assert "hunter2" not in str(entries)


def test_a_proxy_that_cant_be_used_is_refused_at_once(monkeypatch):
    monkeypatch.setenv("WS_PROXY", "foo://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(SettingsError, match="HTTPS_PROXY or its like: "):
        client(FAR)


@pytest.mark.parametrize("answer", [broken, unavailable, too_often])
async def test_no_snapshot_is_one_line_in_the_log(answer):
    async with exchange(answer) as server:
        with capture_logs() as entries:
            assert await fetched(server.rest_url) is None
    assert len(entries) == 1
    assert "\n" not in entries[0]["why"]


async def test_an_exchange_that_is_down_is_one_line_in_the_log():
    with capture_logs() as entries:
        assert await fetched(f"http://127.0.0.1:{free_port()}/depth") is None
    assert [entry["event"] for entry in entries] == ["the exchange gives no snapshots, retrying"]


async def test_a_refusal_after_the_first_snapshot_is_no_end():
    async with exchange(fresh, not_served, fresh) as server:
        asking = client(server.rest_url)
        assert await asking.fetch("BTCUSDT")
        assert await asking.fetch("BTCUSDT") is None
        assert await asking.fetch("BTCUSDT")
        asking.close()


async def test_a_refusal_of_the_first_request_is_an_error():
    async with exchange(not_served) as server:
        with pytest.raises(ServerUnavailableError, match="HTTP 451"):
            await asyncio.wait_for(fetched(server.rest_url), 60)
