"""What another site can have a browser do on Flower's page, and what anybody can on its port: the real Flower."""

import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.support.servers.flower import Flower, running
from tests.support.waiting import HANGS_S

LOGIN = {"Authorization": f"Basic {b64encode(b'me:secret').decode()}"}
REVOKE = "/api/task/revoke/none"


@pytest.fixture(scope="module")
def with_login(redis_url: str) -> Iterator[Flower]:
    with running(redis_url, FLOWER_BASIC_AUTH="me:secret") as one:
        yield one


@pytest.fixture(scope="module")
def without_login(redis_url: str) -> Iterator[Flower]:
    """As open as Flower can be made."""
    with running(redis_url, FLOWER_UNAUTHENTICATED_API="true", HTTP_ALLOWED_HOSTS="flower.example.com") as one:
        yield one


def from_elsewhere(port: int) -> list[dict[str, str]]:
    """Return what browsers say of a request that another site's page makes, new ones and old ones."""
    return [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": f"http://localhost:{port + 1}", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ]


def from_its_page(port: int) -> list[dict[str, str]]:
    """Return what browsers say of a request of Flower's own page; and a program, which says nothing."""
    origin = f"http://127.0.0.1:{port}"
    return [{"Origin": origin, "Sec-Fetch-Site": "same-origin"}, {"Origin": origin}, {}]


def test_with_a_login_posts_of_another_site_are_forbidden(with_login: Flower):
    for headers in from_elsewhere(with_login.port):
        assert with_login.ask("POST", REVOKE, headers | LOGIN) == 403, headers
    for headers in from_its_page(with_login.port):
        assert with_login.ask("POST", REVOKE, headers | LOGIN) == 200, headers
        assert with_login.ask("POST", REVOKE, headers) == 401, headers


def test_with_a_login_any_name_will_do_as_browsers_send_it_to_no_other(with_login: Flower):
    assert with_login.ask("GET", "/workers", {"Host": "trading.example", **LOGIN}) == 200
    assert with_login.ask("GET", "/workers", {"Host": "trading.example"}) == 401


def test_without_a_login_posts_of_another_site_are_forbidden_too(without_login: Flower):
    for headers in from_elsewhere(without_login.port):
        assert without_login.ask("POST", REVOKE, headers) == 403, headers
    for headers in from_its_page(without_login.port):
        assert without_login.ask("POST", REVOKE, headers) == 200, headers


def test_without_a_login_foreign_names_are_forbidden(without_login: Flower):
    for path in ("/workers", "/api/workers", "/static/js/flower.js", "/healthcheck"):
        assert without_login.ask("GET", path, {"Host": f"rebound.example:{without_login.port}"}) == 403, path
    for host in ("localhost", "127.0.0.1:5555", "flower.example.com"):
        assert without_login.ask("GET", "/workers", {"Host": host}) == 200, host


@pytest.mark.parametrize("path", ["/workers", "/api/workers", "/nothing"])
def test_no_answer_may_be_framed_or_read_by_another_site(with_login: Flower, without_login: Flower, path: str):
    for flower, login in ((with_login, LOGIN), (with_login, {}), (without_login, {})):
        headers = flower.headers(path, {"Origin": "https://evil.example", **login})
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert not [name for name in headers if name.lower().startswith("access-control-")]


def test_large_posts_take_no_memory_of_flower(with_login: Flower):
    process = psutil.Process(with_login.process.pid)
    before = process.memory_info().rss
    with socket.create_connection(("127.0.0.1", with_login.port), timeout=HANGS_S) as connection:
        with suppress(OSError):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 95000000\r\n\r\n")
            for _ in range(95):
                connection.sendall(bytes(1_000_000))
        assert process.memory_info().rss - before < 50 * 2**20
    assert with_login.ask("GET", "/healthcheck") == 200
