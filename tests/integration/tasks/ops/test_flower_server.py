"""What another site can have a browser do on Flower's page, and what anybody can on its port: the real Flower."""

import http.client
import os
import socket
import sys
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psutil
import pytest

from compose.local.processes import Instance, Process
from compose.local.servers import free_port
from tests.support.service import get
from tests.support.waiting import HANGS_S, wait_for

LOGIN = {"Authorization": f"Basic {b64encode(b'me:secret').decode()}"}
REVOKE = "/api/task/revoke/none"


class Flower:
    def __init__(self, process: Process, port: int) -> None:
        self.process, self.port = process, port

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_S)) as connection:
            connection.request(method, path, headers=headers or {})
            return connection.getresponse().status


@contextmanager
def running(redis_url: str, **more: str) -> Iterator[Flower]:
    port = free_port()
    environment = {"REDIS_URL": redis_url, "NAMESPACE": f"t{uuid.uuid4().hex[:12]}", **more}
    command = [sys.executable, "-m", "celery", "-A", "tasks", "flower", f"--port={port}"]
    with Instance("flower") as instance:
        process = instance.start("flower", command, os.environ | environment)
        wait_for(lambda: get(port, "/healthcheck")[0] == 200, f"Flower{process.tail(20)}")
        yield Flower(process, port)


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
