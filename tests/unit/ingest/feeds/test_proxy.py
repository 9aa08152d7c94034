"""The proxy before the exchange: what is wrong with it is told at once, and never held against the exchange."""

import ssl

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidProxyMessage, InvalidProxyStatus, InvalidStatus
from websockets.http11 import Response

from ingest.feeds import proxy
from tasks.errors import ServerUnavailableError, SettingsError

URL = "wss://exchange.example/stream"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for scheme in ("http", "https", "ws", "wss", "socks", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.delenv(name, raising=False)


def test_without_a_proxy_there_is_none():
    assert not proxy.before(URL)


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("HTTPS_PROXY", "http://me:hunter2@proxy.example:3128", "proxy.example:3128"),
        ("https_proxy", "https://proxy.example", "proxy.example:443"),
        ("WSS_PROXY", "socks5h://127.0.0.1:1080", "127.0.0.1:1080"),
    ],
)
def test_a_proxy_is_named_by_host_and_port_without_its_password(monkeypatch, name, value, place):
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(proxy, "find_spec", lambda _: object())
    assert proxy.before(URL) == place


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("socks5h://me:hunter2@127.0.0.1:1080", "a SOCKS proxy needs python-socks: pip install"),
        ("foo://me:hunter2@127.0.0.1:1080", "not the address of a proxy: scheme foo isn't supported"),
        ("http://hunter2@proxy.example", "not the address of a proxy: username provided without password"),
        ("http://me:hunter2@proxy.example:port", "not the address of a proxy"),
        ("me:hunter2@proxy.example:3128", "not the address of a proxy"),
    ],
)
def test_a_proxy_that_cant_be_used_is_one_line_without_its_password(monkeypatch, value, said):
    monkeypatch.setenv("HTTPS_PROXY", value)
    monkeypatch.setattr(proxy, "find_spec", lambda _: None)
    with pytest.raises(SettingsError) as raised:
        proxy.before(URL)
    assert str(raised.value).startswith(f"HTTPS_PROXY or its like: {said}")
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_address_that_is_no_websockets_is_one_line():
    with pytest.raises(ServerUnavailableError, match="not a websocket address"):
        proxy.before("https://exchange.example")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connect call failed"), "the proxy can't be reached"),
        (OSError("Multiple exceptions: [Errno 111] ..., [Errno 111] ..."), "the proxy can't be reached"),
        (InvalidProxyStatus(Response(407, "", Headers())), "the proxy does not let us through: HTTP 407"),
        (InvalidProxyMessage("no HTTP"), "the proxy does not let us through"),
        (InvalidStatus(Response(503, "", Headers())), ""),
        (ConnectionResetError(), ""),
        (TimeoutError(), ""),
        (ssl.SSLCertVerificationError(), ""),
    ],
)
def test_only_what_is_the_proxys_fault_is_said_to_be(error, said):
    assert proxy.fault(error) == said
