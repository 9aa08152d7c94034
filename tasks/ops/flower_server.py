"""The server that Flower's page listens with; `flowerconfig` calls `install`.

With a login Flower answers 403 to what another site has a browser send. Without one it takes everything: so then this
server refuses it, and every name that is not ours, by which another site could read the page (DNS rebinding). Either way
no other site may frame the page, over which its reader would click on buttons unseen, and none may read an answer: with
FLOWER_UNAUTHENTICATED_API Flower itself lets every site do that.
"""

from typing import Any

import flower.app
import flower.views
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.routing import Router
from tornado.web import Application, RequestHandler

from tasks.settings import load
from tasks.telemetry.allowed_hosts import AllowedHosts
from tasks.telemetry.bounded_server import BoundedServer, max_connections
from tasks.telemetry.cross_site import is_cross_site

#: A task that somebody sends by hand.
MAX_BODY_BYTES = 64 * 1024
#: Its page may wait for all workers to answer.
REQUEST_S = 120.0
#: Of every answer but that with a static file.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_READING = {"GET", "HEAD", "OPTIONS"}


class FlowerServer(BoundedServer):
    """Flower's server, bounded as all of ours are."""

    def initialize(self, application: Any, **more: Any) -> None:  # type: ignore[override]  # as Flower calls it
        """Called by tornado with what Flower gives."""
        names = AllowedHosts(load().http_allowed_hosts.split(","))
        super().initialize(_Guard(application, names), max_connections(), REQUEST_S, MAX_BODY_BYTES, **more)


class _Guard(Router):
    def __init__(self, application: Application, names: AllowedHosts) -> None:
        self._application, self._names = application, names

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> HTTPMessageDelegate | None:
        options = self._application.options  # type: ignore[attr-defined]  # Flower has no types
        if not (options.basic_auth or options.auth) and (why := refusal(request, self._names)):
            return self._application.get_handler_delegate(request, _RefusedHandler, {"why": why})
        return self._application.find_handler(request, **more)


def refusal(request: HTTPServerRequest, names: AllowedHosts) -> str:
    """Return why a request is refused where there is no login; empty: it is not."""
    if not names.allow(request.host):
        return "HTTP_ALLOWED_HOSTS does not name this host"
    if request.method in _READING:
        return ""
    return "another site sent this" if is_cross_site(request.headers, request.host) else ""


class _RefusedHandler(RequestHandler):
    def initialize(self, why: str) -> None:
        self._why = why

    def check_xsrf_cookie(self) -> None:
        pass  # it is refused anyway

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"403 Forbidden: {self._why}\n")


def _set_default_headers(handler: RequestHandler) -> None:
    for name, value in HEADERS.items():
        handler.set_header(name, value)


def install() -> None:
    """Have Flower use `FlowerServer`, and answer with these headers instead of its own."""
    flower.app.HTTPServer = FlowerServer
    flower.views.BaseHandler.set_default_headers = _set_default_headers
