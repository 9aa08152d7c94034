"""One websocket to the exchange with some of the streams, always kept open.

It is opened again whenever it is cut, goes silent, or gets old: the exchange cuts after 24 hours, so a fresh one is
opened before that, and the old one is read until it stands. So it is when streams that were asked for stay silent.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from ingest.feeds import proxy, stream_watch
from tasks.errors import UNREADABLE, ServerUnavailableError
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()

#: HTTP statuses that retrying can't fix: a wrong address, or a country that is not served.
REFUSALS = frozenset({400, 401, 403, 404, 451})

#: Called with the stream's name and the frame's bytes.
Deliver = Callable[[str, bytes], Awaitable[None]]


class LinkTimeouts(NamedTuple):
    """Timeouts and intervals of a live feed's links, in seconds."""

    #: Without any message on a link, until it is opened again; infinite: only a ping without an answer ends it.
    stall_s: float = 30.0
    #: Without any message of a stream, while others of its link come.
    streams: stream_watch.SilenceTimeouts = stream_watch.SilenceTimeouts()
    #: How often silent streams are looked for and reported to ingest.
    look_s: float = 5.0
    #: A link is opened again when one of its streams has been silent for so long; doubles with every further time.
    renew_s: float = 60.0
    renew_max_s: float = 3600.0
    #: Before the second attempt in a row; doubles with every further one.
    backoff_s: float = 0.5
    backoff_max_s: float = 60.0
    #: The age at which a link is replaced.
    max_age_s: float = 23.5 * 3600

    def draw_backoff_s(self, failures: int) -> float:
        """Return a wait that doubles with every failure in a row, with jitter, so that many feeds do not come at once."""
        longest = min(self.backoff_max_s, self.backoff_s * 2 ** min(failures - 1, 16))
        return random.uniform(longest / 2, longest)  # noqa: S311 nothing secret about a pause


TIMEOUTS = LinkTimeouts()


class _Frame(msgspec.Struct):
    stream: str
    data: msgspec.Raw


_decoder = msgspec.json.Decoder(_Frame)


def with_time(raw: bytes, received_at_ns: int) -> bytes:
    """Add `received_at` to a frame's envelope, a JSON object; every other byte stays."""
    return b'%b,"received_at":%d}' % (raw.rstrip()[:-1], received_at_ns)


class Link:
    """One websocket connection that is reopened whenever it is lost."""

    def __init__(self, url: str, deliver: Deliver, timeouts: LinkTimeouts) -> None:
        """Open nothing yet. Raises SettingsError and ServerUnavailableError: the address or its proxy can't be used."""
        self._url = url
        #: The address, without the streams.
        self.where = url.partition("?")[0]
        self._proxy = proxy.before(url)
        self._deliver = deliver
        self._timeouts = timeouts
        self._throttle = LogThrottle()
        #: Failures in a row; a message ends the row.
        self._failures = 0
        self._received = False
        #: Set while the websocket stands.
        self.up = asyncio.Event()
        #: Set when this websocket is to be replaced: it is lost, or its streams are silent.
        self._replace = asyncio.Event()
        #: Messages that are no frames: they are dropped.
        self.garbage = 0

    async def run(self) -> None:
        """Deliver frames endlessly. Raises ServerUnavailableError: the exchange refuses this address for good."""
        socket = await self._open()
        while True:
            socket = await self._until_replaced(socket)

    def renew(self) -> None:
        """Open another websocket; this one is read until that one stands."""
        self._replace.set()

    async def _until_replaced(self, socket: ClientConnection) -> ClientConnection:
        """Deliver until the websocket is lost, old or to be renewed; return the next one."""
        lost = self._replace = asyncio.Event()
        successor = asyncio.create_task(self._successor(lost))
        try:
            try:
                await self._read(socket, successor)
            except (ConnectionClosed, TimeoutError) as error:
                self._lost(error)
                lost.set()
            return await asyncio.shield(successor)
        except BaseException:
            await _abandon(successor)
            raise
        finally:
            await socket.close()

    async def _successor(self, lost: asyncio.Event) -> ClientConnection:
        # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with `lost`.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeouts.max_age_s):
                await lost.wait()
        return await self._open()

    async def _open(self) -> ClientConnection:
        """Connect, for as long as it takes."""
        while True:
            if self._failures:
                await asyncio.sleep(self._timeouts.draw_backoff_s(self._failures))
            try:
                socket = await connect(self._url, compression=None, close_timeout=1)
            except (OSError, TimeoutError, InvalidHandshake) as error:
                if not self._received and isinstance(error, InvalidStatus) and error.response.status_code in REFUSALS:
                    raise ServerUnavailableError(f"{self.where} refuses: {error}") from None
                self._lost(error, proxy.fault(error) if self._proxy else "")
            else:
                self.up.set()
                return socket

    def _lost(self, error: Exception, fault: str = "") -> None:
        self._failures += 1
        why = (
            f"silent for {self._timeouts.stall_s:g} s" if type(error) is TimeoutError and not str(error) else str(error)
        )
        if self._throttle.allow() or self._failures == 1:
            said = f"{fault or 'the exchange is unavailable'}, retrying"
            through = {"proxy": self._proxy} if self._proxy else {}
            log.warning(said, where=self.where, why=why or type(error).__name__, **through)

    async def _read(self, socket: ClientConnection, successor: asyncio.Task[ClientConnection]) -> None:
        """Deliver until the successor stands. Raises ConnectionClosed, or TimeoutError on a stall."""
        while not successor.done():
            async with asyncio.timeout(None if math.isinf(self._timeouts.stall_s) else self._timeouts.stall_s):
                raw = await socket.recv(decode=False)
            await self._take(raw)

    async def _take(self, raw: bytes) -> None:
        received_at_ns = time.time_ns()
        try:
            frame = _decoder.decode(raw)
        except UNREADABLE:
            self.garbage += 1
            if self._throttle.allow():
                log.warning(
                    "dropped: no frame of a stream", so_far=self.garbage, message=raw[:80].decode(errors="replace")
                )
            return
        self._failures, self._received = 0, True
        await self._deliver(frame.stream, with_time(raw, received_at_ns))


async def _abandon(opening: asyncio.Task[ClientConnection]) -> None:
    """End an attempt to connect, and the websocket if it stands already."""
    opening.cancel()
    await asyncio.wait({opening})
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().close()
