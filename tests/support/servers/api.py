"""Ingest's API served for a test, and a caller that holds each answer against the OpenAPI document."""

import asyncio
import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jsonschema  # type: ignore[import-untyped]  # it has no stubs here
from prometheus_client import CollectorRegistry

from ingest.api import openapi
from ingest.api.handler import Api
from tasks.settings import Settings
from tasks.telemetry.http_server import Address, serve
from tests.support.waiting import HANGS_S

TOKEN = "dashboards-own-token"  # noqa: S105 of tests
DOCUMENT = json.loads(openapi.text())
#: By method and the regular expression of a path: its operation.
OPERATIONS = [
    (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


class Answered(NamedTuple):
    """An answer."""

    status: int
    headers: Any
    json: Any

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def etag(self) -> str:
        return str(self.headers["ETag"])


class ApiCaller:
    """Calls the API with a token; each answer must be one that the document describes."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.port, self._token = port, token

    def __call__(self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str) -> Answered:
        token = self._token if token is None else token
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            sent = {"Content-Type": "application/json"} | sent
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_S)
        try:
            connection.request(method, f"/api/v1{path}", body, sent)
            answer = connection.getresponse()
            packed = answer.read()
        finally:
            connection.close()
        found = Answered(answer.status, answer.headers, json.loads(packed) if packed else None)
        check(method, f"/api/v1{path}".partition("?")[0], found)
        return found

    def get(self, path: str, **headers: str) -> Answered:
        return self("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answered:
        return self("POST", path, {} if body is None else body, **headers)

    def delete(self, path: str, **headers: str) -> Answered:
        return self("DELETE", path, **headers)


def check(method: str, path: str, answered: Answered) -> None:
    """Hold an answer against the document: its status, its type, and its content."""
    described = [each for verb, pattern, each in OPERATIONS if verb == method and pattern.fullmatch(path)]
    responses = described[0]["responses"] if described else {}
    if answered.status >= 400:
        assert answered.headers["Content-Type"] == "application/problem+json"
        validate({"$ref": "#/components/schemas/Problem"}, answered.json)
        assert not described or str(answered.status) in responses, (method, path, answered.status)
    elif answered.status == 200 and described:
        validate(responses["200"]["content"]["application/json"]["schema"], answered.json)


def validate(schema: Any, value: Any) -> None:
    jsonschema.Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(value)


@contextmanager
def serving(settings: Settings) -> Iterator[int]:
    """Serve the API as ingest does, in a thread; yield the port."""
    loop, api = asyncio.new_event_loop(), Api(settings)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> Any:
        def well() -> tuple[bool, dict[str, Any]]:
            return True, {}

        return serve(Address("HTTP_PORT", "127.0.0.1", 0, strict=True), well, well, CollectorRegistry(), api.routes)

    async def stop() -> None:
        server.stop()
        server.give_back()

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(HANGS_S)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(HANGS_S)
        api.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
