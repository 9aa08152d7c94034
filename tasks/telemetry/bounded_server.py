"""An HTTP server that nobody can fill: what a client may send, how long it may take, and how many there may be."""

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import structlog
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream

from tasks.telemetry.fair_slots import FairSlots, client_of
from tasks.telemetry.log_throttle import LogThrottle

MAX_HEADER_BYTES = 16 * 1024
#: Nothing here takes a body.
MAX_BODY_BYTES = 1024
#: Of one connection, read and not yet looked at.
MAX_UNREAD_BYTES = 64 * 1024
MAX_CONNECTIONS = 128
#: Of the descriptors that this process may have, HTTP takes at most one in so many.
DESCRIPTOR_SHARE = 4
#: For the next request to arrive, and then for its body and until its answer is taken; not for the time in which a
#: handler works on the answer, and event streams have a bound of their own.
REQUEST_S = 30.0
ACCEPT_PAUSE_S = 1.0
#: Connections that are accepted before other work has its turn.
_ACCEPTED_AT_ONCE = 16
_LOG_INTERVAL_S = 60.0
_TRANSIENT = (errno.ECONNABORTED, errno.EPROTO, errno.EINTR)
log = structlog.get_logger()


def max_connections() -> int:
    """Return how many connections HTTP may hold here: fewer where the process may have few descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(min(MAX_CONNECTIONS, soft // DESCRIPTOR_SHARE), 4)


class BoundedServer(HTTPServer):
    """Serves an application to as many clients as there is place for.

    While all places are taken, the client that has the most loses its oldest connection, so that a probe always gets
    through. A connection is cut that does not send its request, or does not take its answer, within `request_s`; an
    answer may take longer to work out, if its handler says so.
    """

    def initialize(  # type: ignore[override]  # tornado's takes twelve arguments, which are fixed here
        self,
        application: HTTPServerConnectionDelegate,
        connections: int,
        request_s: float = REQUEST_S,
        max_body_bytes: int = MAX_BODY_BYTES,
        **more: Any,
    ) -> None:
        """Called by tornado with what the constructor was given; `more` are of tornado's arguments."""
        super().initialize(
            application,
            **more,
            max_header_size=MAX_HEADER_BYTES,
            max_body_size=max_body_bytes,
            chunk_size=MAX_UNREAD_BYTES // 4,
            max_buffer_size=MAX_UNREAD_BYTES,
        )
        self._request_s = request_s
        self._slots: FairSlots[IOStream] = FairSlots(connections)
        self._deadlines: dict[IOStream, asyncio.TimerHandle] = {}
        self._held_open: set[IOStream] = set()
        self._acceptors: list[_Acceptor] = []

    def add_sockets(self, sockets: Sequence[socket.socket]) -> None:  # type: ignore[override]
        """Accept what connects to the listening `sockets`, on the current event loop."""
        self._acceptors += [_Acceptor(each, self) for each in sockets]

    def stop(self) -> None:
        """Close the listening sockets; connections stay."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()

    def connected(self, connection: socket.socket, address: Any) -> None:
        """Take a new connection, in the place of an older one if need be."""
        if self._slots.full:
            theirs = self._slots.of_busiest()
            self._cut(next((each for each in theirs if each not in self._held_open), theirs[0]))
        self._handle_connection(connection, address)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Called by tornado with a new connection."""
        self._slots.add(stream, client_of(str(address[0]) if address else ""))
        super().handle_stream(stream, address)

    def start_request(self, server_conn: Any, request_conn: Any) -> HTTPMessageDelegate:
        """Called by tornado when it waits for the next request of a connection."""
        self._renew(server_conn.stream)
        return _Request(super().start_request(server_conn, request_conn), partial(self._renew, server_conn.stream))

    def hold_open(self, server_conn: Any) -> None:
        """Leave the connection open for as long as its handler wants; the handler sees to it that it ends."""
        self._held_open.add(server_conn.stream)
        self.pause(server_conn)

    def pause(self, server_conn: Any) -> None:
        """Leave the connection open until `resume`: its client waits for us."""
        self._forget_deadline(server_conn.stream)

    def resume(self, server_conn: Any) -> None:
        """Give the client the time for a request once more, to take its answer."""
        self._renew(server_conn.stream)

    def on_close(self, server_conn: Any) -> None:
        """Called by tornado when a connection has ended."""
        self._forget(server_conn.stream)
        super().on_close(server_conn)

    def give_back(self) -> int:
        """Close every connection, so that its descriptor is free; return how many. Clients come back by themselves."""
        streams = list(self._slots)
        for stream in streams:
            self._cut(stream)
        return len(streams)

    def _renew(self, stream: IOStream) -> None:
        self._forget_deadline(stream)
        if stream in self._slots:
            self._deadlines[stream] = asyncio.get_running_loop().call_later(self._request_s, self._cut, stream)

    def _cut(self, stream: IOStream) -> None:
        self._forget(stream)
        stream.close()

    def _forget(self, stream: IOStream) -> None:
        self._forget_deadline(stream)
        self._slots.remove(stream)
        self._held_open.discard(stream)

    def _forget_deadline(self, stream: IOStream) -> None:
        if deadline := self._deadlines.pop(stream, None):
            deadline.cancel()


class _Request(HTTPMessageDelegate):
    """Passes a request on, and says when its head has arrived: the time for the rest begins."""

    def __init__(self, to: HTTPMessageDelegate, arrived: Callable[[], None]) -> None:
        self._to, self._arrived = to, arrived

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        self._arrived()
        return self._to.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        return self._to.data_received(chunk)

    def finish(self) -> None:
        self._to.finish()

    def on_connection_close(self) -> None:
        self._to.on_connection_close()


class _Acceptor:
    """Accepts the connections of one listening socket. Where descriptors are used up it pauses, in one line of log."""

    def __init__(self, listener: socket.socket, server: BoundedServer) -> None:
        self._listener, self._server = listener, server
        # Flower listens before its loop runs.
        self._loop: asyncio.AbstractEventLoop = cast("Any", IOLoop.current()).asyncio_loop
        self._again: asyncio.TimerHandle | None = None
        self._throttle = LogThrottle(_LOG_INTERVAL_S)
        self._listen()

    def close(self) -> None:
        """Accept no more, and close the socket."""
        if self._again:
            self._again.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _listen(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _TRANSIENT:
                    continue
                self._pause(error)
                return
            self._server.connected(connection, address)

    def _pause(self, error: OSError) -> None:
        """Let what this process itself connects to, Redis and NATS, have the descriptors first."""
        self._loop.remove_reader(self._listener)
        self._again = self._loop.call_later(ACCEPT_PAUSE_S, self._listen)
        closed = self._server.give_back()
        if self._throttle.allow():
            why = os.strerror(error.errno) if error.errno else str(error)
            log.warning("HTTP accepts no connections for now", why=why, closed=closed, pause_s=ACCEPT_PAUSE_S)
