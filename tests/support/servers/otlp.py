"""A collector for tests: it takes spans over OTLP/HTTP, read with the official protobufs, and can misbehave."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Proto
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.waiting import wait_for


class Span(NamedTuple):
    """A span as it arrived; ids in hexadecimal, "" for no parent."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    #: (trace id, span id) of each.
    links: list[tuple[str, str]]
    attributes: dict[str, Any]
    failed: bool
    start_ns: int
    end_ns: int
    #: What process it comes from.
    resource: dict[str, Any]


class Collector:
    """What was received. While `status` is not 200 everything is refused; while `hangs`, nothing is answered."""

    def __init__(self) -> None:
        self.received: list[Span] = []
        self.requests = 0
        self.status = HTTPStatus.OK
        self.endless = threading.Event()
        self.hangs = False
        self.url = ""

    def take(self, body: bytes) -> None:
        """Read one request. Raises google.protobuf.message.DecodeError."""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _attributes(group.resource.attributes)
            self.received += [_span(span, resource) for scope in group.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Span]:
        """Return the spans whose name begins so."""
        return [span for span in self.received if span.name.startswith(name)]

    def wait_named(self, name: str, count: int = 1) -> list[Span]:
        """Wait until there are so many of them."""
        wait_for(lambda: len(self.named(name)) >= count, f"{count} spans {name!r} among {self.received}")
        return self.named(name)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _span(span: Proto, resource: dict[str, Any]) -> Span:
    return Span(
        span.name,
        Proto.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        _attributes(span.attributes),
        span.status.code == Status.STATUS_CODE_ERROR,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        resource,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listen on a free port; `url` is what OTEL_EXPORTER_OTLP_ENDPOINT takes."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.requests += 1
            if collector.hangs:
                collector.endless.wait()
            if collector.status is HTTPStatus.OK:
                assert self.path == "/v1/traces", self.path
                collector.take(body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        collector.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield collector
        finally:
            collector.endless.set()
            server.shutdown()
