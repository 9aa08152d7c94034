"""/healthz, /ready and /metrics over HTTP."""

import errno
from collections.abc import Callable
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tasks.errors import SettingsError
from tasks.settings import Settings

log = structlog.get_logger()

#: Gives whether all is well, and what to say about each part.
Check = Callable[[], tuple[bool, dict[str, Any]]]


class _Probe(RequestHandler):
    def initialize(self, check: Check) -> None:
        self._check = check

    def get(self) -> None:
        well, parts = self._check()
        self.set_status(200 if well else 503)
        self.finish({"ok": well, **parts})


class _Metrics(RequestHandler):
    def initialize(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(self._registry))


def serve(settings: Settings, healthz: Check, ready: Check, registry: CollectorRegistry) -> tuple[HTTPServer, int]:
    """Listen on the configured port; when it is taken, on a free one, unless METRICS_STRICT_PORT says no.

    Returns the server and its port. Raises SettingsError.
    """
    try:
        sockets = bind_sockets(settings.http_port, settings.http_host)
    except OSError as error:
        where = f"{settings.http_host}:{settings.http_port}"
        if error.errno != errno.EADDRINUSE:
            raise SettingsError(f"HTTP_HOST, HTTP_PORT: can't listen on {where}: {error.strerror}") from None
        if settings.metrics_strict_port:
            raise SettingsError(f"HTTP_PORT: {where} is taken, and METRICS_STRICT_PORT is set") from None
        sockets = bind_sockets(0, settings.http_host)
        log.warning("the HTTP port is taken: using a free one", taken=where, port=sockets[0].getsockname()[1])
    server = HTTPServer(
        Application(
            [
                ("/healthz", _Probe, {"check": healthz}),
                ("/ready", _Probe, {"check": ready}),
                ("/metrics", _Metrics, {"registry": registry}),
            ],
            log_function=lambda _: None,
        )
    )
    server.add_sockets(sockets)
    port: int = sockets[0].getsockname()[1]
    log.info("listening", host=settings.http_host, port=port)
    return server, port
