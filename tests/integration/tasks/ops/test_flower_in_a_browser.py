"""What the page of another origin can do in a browser that is logged in to Flower: with a real browser."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.browsing import chromium
from tests.support.servers.flower import Flower, running

SHUTDOWN = "/api/worker/shutdown/celery@any"
#: A refused post, in Flower's log.
POST = re.compile(r" 403 POST /api/")
#: Sends what a page may send without asking first; says what it could read.
SCRIPT = """async ([url, credentials]) => {
    const said = {};
    for (const path of ["/api/worker/shutdown/celery@any", "/api/task/revoke/any", "/api/worker/pool/grow/celery@any"])
        await fetch(url + path, {method: "POST", mode: "no-cors", credentials, body: "n=1"}).catch(() => null);
    for (const path of ["/workers", "/api/workers", "/tasks"])
        said[path] = await fetch(url + path, {credentials}).then((answer) => answer.text(), () => null);
    return said;
}"""
FORM = """(url) => {
    document.body.innerHTML = `<form method="post" action="${url}"><input name="n" value="1"></form>`;
    document.forms[0].submit();
}"""
FRAME = """(url) => new Promise((resolve) => {
    const frame = document.createElement("iframe");
    frame.onload = resolve;
    frame.src = url;
    document.body.append(frame);
})"""


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><body></body>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    """Another web server of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@contextmanager
def visited(browser: Browser, page_url: str, flower: Flower, login: str) -> Iterator[Page]:
    """Log in to Flower, and open the page of another origin beside it."""
    context: BrowserContext = browser.new_context()
    page = context.new_page()
    answer = page.goto(f"http://{login}127.0.0.1:{flower.port}/workers")
    assert answer
    assert answer.status == 200
    other = context.new_page()
    other.goto(page_url)
    yield other
    context.close()


@pytest.mark.parametrize("settings", [{"FLOWER_BASIC_AUTH": "me:secret"}, {"FLOWER_UNAUTHENTICATED_API": "true"}])
def test_a_page_of_another_origin_neither_controls_nor_reads_flower(redis_url, browser, other_port, settings):
    login = "me:secret@" if "FLOWER_BASIC_AUTH" in settings else ""
    posts: list[int] = []
    with running(redis_url, **settings) as flower:
        own = f"http://127.0.0.1:{flower.port}"
        # The first is the same site for a browser, which sends the login along; the second is another.
        for name in ("127.0.0.1", "localhost"):
            with visited(browser, f"http://{name}:{other_port}/", flower, login) as page:
                page.on("response", lambda said: posts.append(said.status) if said.request.method == "POST" else None)
                for credentials in ("include", "omit"):
                    assert not any(page.evaluate(SCRIPT, [own, credentials]).values())
                page.evaluate(FRAME, f"{own}/workers")
                assert "Flower" not in page.frames[1].content()
                with page.expect_navigation():
                    page.evaluate(FORM, own + SHUTDOWN)
        # Chromium tells of no answer that it keeps from the page; where there is a login, Flower's log does.
        assert set(posts) == {403}
        assert len(POST.findall(flower.process.log.read_text())) == (14 if login else 0)
