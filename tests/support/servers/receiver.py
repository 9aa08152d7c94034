"""A receiver of webhooks that fails on request, and delivery processes."""

import json
import os
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from compose.local.processes import Instance, Process
from tests.support.waiting import wait_for
from tests.unit.tasks.cli.test_signals import signal

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 of the standard's own example


class Received(NamedTuple):
    """A request, and when it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float
    #: What the receiver did: ok, reset, hang, or the status that it answered.
    did: str


class Reaction(NamedTuple):
    """What the receiver does about a request."""

    #: ok, reset, hang or a status.
    do: str
    headers: Mapping[str, str] = {}
    body: bytes = b""
    #: Called before the answer.
    before: Callable[[], None] = lambda: None


class Receiver:
    """Takes requests on loopback, and reacts as it is told."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[Received] = []
        #: The reactions to the next requests; then `always`.
        self.plan: deque[Reaction] = deque()
        self.always = Reaction("ok")
        self.closing = threading.Event()

    def taken(self) -> list[str]:
        """Return the ids of the signals that were taken, in their order."""
        return [json.loads(each.body)["id"] for each in self.requests if each.did == "ok"]

    def react(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        reaction = self.plan.popleft() if self.plan else self.always
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append(Received(handler.path, headers, body, time.monotonic(), reaction.do))
        reaction.before()
        if reaction.do == "hang":
            self.closing.wait()
        elif reaction.do == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            handler.send_response(200 if reaction.do == "ok" else int(reaction.do))
            for name, value in {**reaction.headers, "content-length": str(len(reaction.body))}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(reaction.body)
            return
        handler.close_connection = True
        handler.connection.close()


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Start a receiver."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            try:
                listening.react(self)
            except OSError:  # the sender did not wait for the answer
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    listening = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield listening
    finally:
        listening.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def identified(number: int, **more: object) -> bytes:
    """Return a signal whose id is its number."""
    return signal(id=str(number), **more)


class Deliveries:
    """Delivery processes of one ledger."""

    def __init__(self, instance: Instance, redis_url: str, namespace: str, **environment: str) -> None:
        self._instance = instance
        self._environment = os.environ | {
            "REDIS_URL": redis_url,
            "NAMESPACE": namespace,
            "DELIVER_HTTP_PORT": "0",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "DEBUG",
            **environment,
        }

    def start(self, *words: str, **environment: str) -> Process:
        """Start `./run tasks deliver ...`."""
        command = [sys.executable, "-m", "tasks", "deliver", *words]
        return self._instance.start("deliver", command, self._environment | environment)


def logged(process: Process, event: str) -> list[dict[str, Any]]:
    """Return the lines of a kind in the log of a process."""
    lines = [
        json.loads(line) for line in process.log.read_text().splitlines() if line.startswith('{"') and "event" in line
    ]
    return [line for line in lines if line.get("event") == event]


def port_of(process: Process) -> int:
    """Return the port of a process's endpoints, once it listens."""
    [line] = wait_for(lambda: logged(process, "listening"), f"its port{process.tail()}")
    return int(line["port"])
