"""/healthz, /ready and /metrics over HTTP, for ingest, workers and deliveries alike, and what else is served beside them."""

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from tasks.errors import SettingsError
from tasks.settings import Settings
from tasks.telemetry.allowed_hosts import AllowedHosts
from tasks.telemetry.bounded_server import REQUEST_S, BoundedServer, max_connections
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()
_throttle = LogThrottle()

#: Gives whether all is well, and what to say about each part.
Check = Callable[[], tuple[bool, dict[str, Any]]]
#: Path, a handler derived from `CheckedHandler`, and its keyword arguments.
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
    #: Names that a request may call this machine by, beside its own, IP addresses and loopback names.
    names: tuple[str, ...] = ()

    @classmethod
    def of_ingest(cls, settings: Settings) -> Self:
        """Return what HTTP_HOST, HTTP_PORT, METRICS_STRICT_PORT and HTTP_ALLOWED_HOSTS say."""
        return cls._of("HTTP_PORT", settings.http_port, settings)

    @classmethod
    def of_worker(cls, settings: Settings) -> Self:
        """Return what HTTP_HOST, WORKER_HTTP_PORT, METRICS_STRICT_PORT and HTTP_ALLOWED_HOSTS say."""
        return cls._of("WORKER_HTTP_PORT", settings.worker_http_port, settings)

    @classmethod
    def of_delivery(cls, settings: Settings) -> Self:
        """Return what HTTP_HOST, DELIVER_HTTP_PORT, METRICS_STRICT_PORT and HTTP_ALLOWED_HOSTS say."""
        return cls._of("DELIVER_HTTP_PORT", settings.deliver_http_port, settings)

    @classmethod
    def _of(cls, setting: str, port: int, settings: Settings) -> Self:
        # Who listens on a name is called by it.
        names = (settings.http_host, *settings.http_allowed_hosts.split(","))
        return cls(setting, settings.http_host, port, settings.metrics_strict_port, names)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class CheckedHandler(RequestHandler):
    """Answers who calls this machine by a name of its own; an error is one short line."""

    def prepare(self) -> None:
        """Called by tornado before a method."""
        if not self.settings["allowed_hosts"].allow(self.request.host):
            self.send_error(HTTPStatus.FORBIDDEN, why="HTTP_ALLOWED_HOSTS does not name this host")

    def hold_open(self) -> None:
        """Answer for as long as it takes; the handler sees to it that it ends."""
        self.settings["server"].hold_open(self.request.server_connection)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Keep the client while its answer is worked out, however long that takes; the handler sees to it that it ends."""
        server, connection = self.settings["server"], self.request.server_connection
        server.pause(connection)
        try:
            yield
        finally:
            server.resume(connection)

    def set_default_headers(self) -> None:
        """Called by tornado: tell nobody which server in which version this is."""
        self.clear_header("Server")

    def write_error(self, status_code: int, why: str = "", **_: Any) -> None:
        """Called by tornado: say what is wrong, in plain text."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {HTTPStatus(status_code).phrase}{why and ': '}{why}\n")

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Called by tornado: what a client did wrong is told to the client alone."""
        if not isinstance(error, HTTPError) and _throttle.allow():
            log.error("unexpected error: a request was not answered", exc_info=(kind, error, trace))


class ReadOnlyHandler(CheckedHandler):
    """Answers GET and HEAD."""

    SUPPORTED_METHODS = ("GET", "HEAD")

    def head(self, *arguments: str) -> Any:
        """Answer as to GET; tornado leaves the body out."""
        return self.get(*arguments)


class _NotFoundHandler(ReadOnlyHandler):
    def get(self) -> None:
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
    address: Address,
    healthz: Check,
    ready: Check,
    registry: CollectorRegistry,
    routes: Sequence[Route] = (),
    request_s: float = REQUEST_S,
) -> tuple[BoundedServer, int]:
    """Listen on the running event loop: on the address's port; when it is taken, on a free one, unless `strict`.

    A client has `request_s` to send a request, and to take its answer. Returns the server and its port, which /ready
    says too. Raises SettingsError.
    """
    sockets = _listen(address)
    port: int = sockets[0].getsockname()[1]
    ours: list[Route] = [
        ("/healthz", _ProbeHandler, {"check": healthz, "more": {}}),
        ("/ready", _ProbeHandler, {"check": ready, "more": {"port": port}}),
        ("/metrics", _MetricsHandler, {"registry": registry}),
        *routes,
    ]
    # Tornado has a line for each request that it can't read.
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    allowed = AllowedHosts(address.names)
    application = Application(
        ours, default_handler_class=_NotFoundHandler, log_function=lambda _: None, allowed_hosts=allowed
    )
    server = BoundedServer(application, max_connections(), request_s)
    application.settings["server"] = server
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
