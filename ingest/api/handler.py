"""The API over HTTP, beside the page: who calls is known before a body is kept, and nothing here waits."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import structlog
from tornado.web import stream_request_body

from ingest.api import openapi, why_process
from ingest.api.callers import Caller, Callers
from ingest.api.execute import ApiRequest, Executor, problem_answer
from ingest.api.idempotency import Answer
from ingest.api.ledger import ApiLedger
from ingest.api.problem import RETRY, ApiError
from ingest.api.route import PREFIX
from ingest.api.route import Route as ApiRoute
from ingest.api.routes import ROUTES
from tasks.settings import Settings
from tasks.telemetry.http_server import CheckedHandler, Route
from tasks.telemetry.log_throttle import LogThrottle

MAX_BODY_BYTES = 64 * 1024
#: A longer body is read and thrown away up to here, so that its sender gets to read why; then the connection ends.
MAX_READ_BYTES = 1024 * 1024
#: One may wait for a retry: others go on.
THREADS = 4
#: Requests that wait for a thread.
MAX_WAITING = 32
log = structlog.get_logger()

_METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Api:
    """The API of one ingest process."""

    def __init__(self, settings: Settings) -> None:
        """Nothing connects and no thread runs before the first request."""
        self.callers = Callers(settings)
        self._ledger = ApiLedger(settings)
        self._executor = Executor(self._ledger)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="api")
        self._open = 0
        self._throttle = LogThrottle()

    @property
    def routes(self) -> list[Route]:
        """The routes: one for each path."""
        by_pattern: dict[str, dict[str, ApiRoute]] = {}
        for route in ROUTES:
            by_pattern.setdefault(route.pattern, {})[route.method] = route
        served: list[Route] = [
            (pattern, ApiHandler, {"api": self, "routes": routes}) for pattern, routes in by_pattern.items()
        ]
        document: Route = (f"{PREFIX}/openapi.json", ApiHandler, {"api": self, "routes": {}})
        return [document, *served, (r"/api(?:/.*)?", ApiHandler, {"api": self, "routes": None})]

    def close(self) -> None:
        """Take no more requests, and close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        why_process.end()
        self._ledger.close()

    def refused(self, problem: ApiError, address: str) -> None:
        """Log that somebody was not let in, not more often than any warning."""
        if problem.status in {401, 403, 429} and self._throttle.allow():
            log.warning("the API refused a caller", address=address, status=problem.status, why=problem.detail)

    async def answer(self, route: ApiRoute, request: ApiRequest) -> Answer:
        """Return the answer, from a thread. Raises ApiError: too many requests are waiting."""
        if self._open >= THREADS + MAX_WAITING:
            raise ApiError(503, "too many requests are waiting", "busy", headers=RETRY)
        self._open += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._executor.answer, route, request)
        finally:
            self._open -= 1


def api_of(settings: Settings) -> Api | None:
    """Return the API, or None where nobody may call it: then it is not served."""
    return Api(settings) if settings.api_token or settings.api_identity_header else None


@stream_request_body
class ApiHandler(CheckedHandler):
    """Answers the methods of one path."""

    SUPPORTED_METHODS = _METHODS

    def initialize(self, api: Api, routes: Mapping[str, ApiRoute] | None) -> None:
        """Called by tornado; no routes: there is no such path, empty ones: it is that of the OpenAPI document."""
        self._api, self._routes = api, routes
        self._body = bytearray()
        self._problem: ApiError | None = None
        self._caller = Caller("")
        self._etag: str | None = None

    def prepare(self) -> None:
        """Called by tornado before the body arrives."""
        super().prepare()
        if self._finished:
            return
        connection: Any = self.request.connection
        connection.set_max_body_size(MAX_READ_BYTES)
        try:
            self._caller = self._api.callers.identify(
                self.request.headers, self.request.remote_ip or "", self.request.host
            )
        except ApiError as problem:
            self._api.refused(problem, self.request.remote_ip or "")
            self._problem = problem
        length = self.request.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > MAX_READ_BYTES:
            connection.set_max_body_size(int(length))
            self._send(problem_answer(self._problem or _too_large()))

    def data_received(self, chunk: bytes) -> None:
        """Called by tornado with what arrives of the body."""
        if len(self._body) + len(chunk) > MAX_BODY_BYTES:
            self._problem = self._problem or _too_large()
        if self._problem is None:
            self._body += chunk

    async def get(self, **path: str) -> None:
        """Answer any method."""
        try:
            with self.working():
                answer = await self._answer(path)
        except ApiError as problem:
            answer = problem_answer(problem)
        self._send(answer)

    head = post = delete = put = patch = options = get

    async def _answer(self, path: Mapping[str, str]) -> Answer:
        if self._problem is not None:
            raise self._problem
        if self._routes is None:
            raise ApiError(404, f"there is no such path; {PREFIX}/openapi.json names those that there are")
        method = "GET" if self.request.method == "HEAD" else self.request.method or ""
        if not self._routes and method == "GET":
            return Answer(200, {"Content-Type": "application/json"}, openapi.text())
        if method not in self._routes:
            allowed = sorted(self._routes) or ["GET"]
            raise ApiError(405, f"{method}: not here", headers={"Allow": ", ".join([*allowed, *_head(allowed)])})
        return await self._api.answer(self._routes[method], self._understood(path))

    def _understood(self, path: Mapping[str, str]) -> ApiRequest:
        try:
            query = {
                name: [value.decode() for value in values] for name, values in self.request.query_arguments.items()
            }
        except UnicodeDecodeError:
            raise ApiError(400, "the query is not UTF-8", "invalid-request") from None
        return ApiRequest(self._caller, path, query, self.request.headers, bytes(self._body))

    def _send(self, answer: Answer) -> None:
        self.set_status(answer.status)
        headers = _HEADERS | answer.headers
        if self.request.method in {"GET", "HEAD"}:
            self._etag = headers.pop("ETag", None)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(answer.body)

    def compute_etag(self) -> str | None:
        """Called by tornado, which sends it, or answers 304 to who has it already: ours, or none."""
        return self._etag

    def write_error(self, status_code: int, why: str = "", **_: Any) -> None:
        """Called by tornado: say what is wrong as a problem."""
        self._send(problem_answer(ApiError(status_code, why or HTTPStatus(status_code).phrase)))


def _too_large() -> ApiError:
    return ApiError(413, f"a body may have {MAX_BODY_BYTES // 1024} KiB")


def _head(allowed: list[str]) -> list[str]:
    return ["HEAD"] if "GET" in allowed else []
