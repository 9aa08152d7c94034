"""What an HTTP server of ours takes from clients that mean no good, over real connections."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from tasks.telemetry.bounded_server import MAX_BODY_BYTES, MAX_HEADER_BYTES, max_connections
from tasks.telemetry.http_server import Address, ReadOnlyHandler, Route, serve
from tests.support.waiting import HANGS_S

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class _Big(ReadOnlyHandler):
    """More than the kernel takes for a client that does not read."""

    def get(self) -> None:
        self.finish(b"x" * 32_000_000)


class _Open(ReadOnlyHandler):
    """A stream that ends only when the client goes."""

    async def get(self) -> None:
        self.hold_open()
        self.write("open\n")
        await self.flush()
        await self._gone.wait()

    def initialize(self) -> None:
        self._gone = asyncio.Event()

    def on_connection_close(self) -> None:
        self._gone.set()


class _Slow(ReadOnlyHandler):
    """Answers when it is let."""

    def initialize(self, may_answer: asyncio.Event) -> None:
        self._may_answer = may_answer

    async def get(self) -> None:
        with self.working():
            await self._may_answer.wait()
        self.finish(b"x" * 32_000_000 if self.get_argument("big", "") else b"done")


def _well() -> tuple[bool, dict[str, Any]]:
    return True, {}


@asynccontextmanager
async def serving(
    names: tuple[str, ...] = (), may_answer: asyncio.Event | None = None, **more: float
) -> AsyncIterator[int]:
    address = Address("HTTP_PORT", "127.0.0.1", 0, strict=True, names=names)
    routes: list[Route] = [("/big", _Big, {}), ("/open", _Open, {}), ("/slow", _Slow, {"may_answer": may_answer})]
    server, port = serve(address, _well, _well, CollectorRegistry(), routes, **more)
    try:
        yield port
    finally:
        server.stop()
        await server.close_all_connections()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: bytes = GET) -> int:
        """Return the status of the answer; 0: the connection was cut."""
        try:
            self.writer.write(request)
            async with asyncio.timeout(HANGS_S):
                head = await self.reader.readuntil(b"\r\n\r\n")
                length = next((line[15:] for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), b"0")
                await self.reader.readexactly(int(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        return int(head.split()[1])

    async def cut(self) -> bool:
        """Return once it is cut."""
        try:
            async with asyncio.timeout(HANGS_S):
                while await self.reader.read(2**16):
                    pass
        except ConnectionError:
            pass
        return True


@asynccontextmanager
async def connected(port: int, own_address: str = "127.0.0.1") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(own_address, 0))
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def status(port: int, request: bytes = GET, own_address: str = "127.0.0.1") -> int:
    async with connected(port, own_address) as client:
        return await client.ask(request)


async def test_a_body_beyond_its_bound_is_refused_before_it_is_read():
    async with serving() as port:
        head = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        assert await status(port, head % MAX_BODY_BYTES + b"x" * MAX_BODY_BYTES) == 405
        assert await status(port, head % 95_000_000) == 400
        chunked = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % 95_000_000
        assert await status(port, chunked) == 400
        async with connected(port) as client:
            assert await client.ask(b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * MAX_HEADER_BYTES) == 0
        assert await status(port) == 200


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET /heal", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", GET],
    ids=["silent", "half a request", "half a body", "between requests"],
)
async def test_a_connection_that_sends_no_request_in_time_is_cut(beginning: bytes):
    async with serving(request_s=0.2) as port, connected(port) as client:
        client.writer.write(beginning)
        assert await client.cut()


async def test_a_client_that_does_not_take_its_answer_is_cut():
    async with serving(request_s=0.2) as port, connected(port) as client:
        client.writer.write(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # What had been sent when it was cut is still there; the rest is not.
        await asyncio.sleep(0.5)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.reader.readexactly(32_000_000)


async def test_a_stream_stays_open_beyond_the_time_of_a_request():
    async with serving(request_s=0.1) as port, connected(port) as client:
        assert await client.ask(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n") == 200
        async with connected(port) as idle:
            assert await idle.cut()
        client.writer.write(b"x")
        reading = asyncio.ensure_future(client.cut())
        assert not reading.done()
        reading.cancel()


async def test_an_answer_may_take_longer_to_work_out_than_a_client_to_take_it():
    may_answer = asyncio.Event()
    async with serving(may_answer=may_answer, request_s=0.1) as port, connected(port) as client:
        asked = asyncio.ensure_future(client.ask(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        async with connected(port) as client_that_is_late:
            client_that_is_late.writer.write(b"GET /slow?big=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with connected(port) as idle:
                assert await idle.cut()
            assert not asked.done()
            may_answer.set()
            assert await asked == 200
            # Nobody waits for ever for one that takes no answer.
            async with connected(port) as idle:
                assert await idle.cut()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client_that_is_late.reader.readexactly(32_000_000)


async def test_a_full_house_still_answers_and_the_busiest_client_pays():
    async with serving() as port, AsyncExitStack() as stack:
        theirs = [await stack.enter_async_context(connected(port)) for _ in range(max_connections() - 1)]
        kept = await stack.enter_async_context(connected(port, "127.0.0.2"))
        assert await kept.ask() == 200
        assert await status(port, own_address="127.0.0.3") == 200
        assert await theirs[0].cut()
        # A client that floods cuts itself.
        for _ in range(2 * max_connections()):
            await stack.enter_async_context(connected(port))
        assert await status(port) == 200
        assert await kept.ask() == 200


async def test_a_stream_outlives_idle_connections_of_the_same_client():
    async with serving() as port, AsyncExitStack() as stack:
        stream = await stack.enter_async_context(connected(port))
        assert await stream.ask(b"GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n") == 200
        for _ in range(2 * max_connections()):
            await stack.enter_async_context(connected(port))
        assert await status(port) == 200
        assert not stream.reader.at_eof()


@pytest.mark.parametrize("path", ["/healthz", "/ready", "/metrics", "/nothing"])
async def test_a_foreign_host_is_refused_whatever_it_asks_for(path: str):
    async with serving(("ingest", "*.example.com")) as port:
        request = f"GET {path} HTTP/1.1\r\nHost: %s\r\n\r\n"
        answered = 404 if path == "/nothing" else 200
        assert await status(port, (request % f"rebound.example:{port}").encode()) == 403
        for ours in (f"127.0.0.1:{port}", "localhost", f"ingest:{port}", "a.example.com", socket.gethostname()):
            assert await status(port, (request % ours).encode()) == answered, ours
        # Probes of load balancers may be this old; browsers are not.
        assert await status(port, f"GET {path} HTTP/1.0\r\n\r\n".encode()) == answered


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Use up all descriptors of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as hogs:
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 8, hard))
        hogs.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while True:
            try:
                hogs.callback(os.close, os.dup(0))
            except OSError:
                break
        yield


async def test_used_up_descriptors_pause_accepting_in_one_line_of_log():
    """Connections give theirs back, so that others of this process can connect."""
    loop_faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loop_faults.append(context))
    with structlog.testing.capture_logs() as lines:
        async with serving() as port, AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(port)) for _ in range(4)]
            assert [await client.ask() for client in clients] == [200] * 4
            newcomer = stack.enter_context(socket.socket())
            with no_descriptors():
                newcomer.connect(("127.0.0.1", port))
                async with asyncio.timeout(HANGS_S):
                    while len(lines) < 2:
                        await asyncio.sleep(0.01)
                # What this process connects to comes first.
                for _ in clients:
                    stack.enter_context(socket.socket())
            async with asyncio.timeout(HANGS_S):
                newcomer.settimeout(0)
                await asyncio.get_running_loop().sock_sendall(newcomer, GET)
                answer = await asyncio.get_running_loop().sock_recv(newcomer, 100)
            assert answer.startswith(b"HTTP/1.1 200 OK")
    warned = lines[1]
    assert [line["event"] for line in lines] == ["listening", "HTTP accepts no connections for now"]
    assert (warned["why"], warned["closed"]) == ("Too many open files", 4)
    assert loop_faults == []


def test_few_descriptors_leave_fewer_connections_for_http():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        assert max_connections() == 25
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert 4 <= max_connections() <= 128
