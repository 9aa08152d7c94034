"""/healthz, /ready and /metrics over HTTP, for ingest and workers alike. Nothing here can be changed by a request."""

import errno
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Self

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
#: Path, a handler derived from `ReadOnlyHandler`, and its keyword arguments.
Route = tuple[str, type[RequestHandler], dict[str, Any]]


class Address(NamedTuple):
    """Host and port to listen on."""

    #: The setting that names the port, for messages.
    setting: str
    host: str
    #: 0 takes a free one.
    port: int
    #: Whether a taken port is an error.
    strict: bool

    @classmethod
    def of_ingest(cls, settings: Settings) -> Self:
        """Return what HTTP_HOST, HTTP_PORT and METRICS_STRICT_PORT say."""
        return cls("HTTP_PORT", settings.http_host, settings.http_port, settings.metrics_strict_port)

    @classmethod
    def of_worker(cls, settings: Settings) -> Self:
        """Return what HTTP_HOST, WORKER_HTTP_PORT and METRICS_STRICT_PORT say."""
        return cls("WORKER_HTTP_PORT", settings.http_host, settings.worker_http_port, settings.metrics_strict_port)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class ReadOnlyHandler(RequestHandler):
    """Answers GET and HEAD; an error is one short line."""

    SUPPORTED_METHODS = ("GET", "HEAD")

    def set_default_headers(self) -> None:
        """Called by tornado: tell nobody which server in which version this is."""
        self.clear_header("Server")

    def write_error(self, status_code: int, **_: Any) -> None:
        """Called by tornado: say what is wrong, in plain text."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {HTTPStatus(status_code).phrase}\n")

    def head(self, *arguments: str) -> Any:
        """Answer as to GET; tornado leaves the body out."""
        return self.get(*arguments)


class _NotFoundHandler(ReadOnlyHandler):
    def prepare(self) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)


class _ProbeHandler(ReadOnlyHandler):
    def initialize(self, check: Check, more: dict[str, Any]) -> None:
        self._check, self._more = check, more

    def get(self) -> None:
        well, parts = self._check()
        self.set_status(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE)
        self.finish({"ok": well, **parts, **self._more})


class _MetricsHandler(ReadOnlyHandler):
    def initialize(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(self._registry))


def serve(
    address: Address, healthz: Check, ready: Check, registry: CollectorRegistry, routes: Sequence[Route] = ()
) -> tuple[HTTPServer, int]:
    """Listen on the running event loop: on the address's port; when it is taken, on a free one, unless `strict`.

    Returns the server and its port, which /ready says too. Raises SettingsError.
    """
    sockets = _listen(address)
    port: int = sockets[0].getsockname()[1]
    ours: list[Route] = [
        ("/healthz", _ProbeHandler, {"check": healthz, "more": {}}),
        ("/ready", _ProbeHandler, {"check": ready, "more": {"port": port}}),
        ("/metrics", _MetricsHandler, {"registry": registry}),
        *routes,
    ]
    server = HTTPServer(Application(ours, default_handler_class=_NotFoundHandler, log_function=lambda _: None))
    server.add_sockets(sockets)
    log.info("listening", host=address.host, port=port)
    return server, port


def _listen(address: Address) -> list[Any]:
    try:
        return bind_sockets(address.port, address.host)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            message = f"HTTP_HOST, {address.setting}: can't listen on {address}: {error.strerror}"
            raise SettingsError(message) from None
    if address.strict:
        raise SettingsError(f"{address.setting}: {address} is taken, and METRICS_STRICT_PORT is set")
    sockets = bind_sockets(0, address.host)
    log.warning("the HTTP port is taken: using a free one", taken=str(address), port=sockets[0].getsockname()[1])
    return sockets
