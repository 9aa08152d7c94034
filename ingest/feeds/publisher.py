"""What all feeds share: the connection to NATS, the subject of a frame, and a clean end on a signal."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from nats.aio.client import Client
from nats.errors import Error

from tasks.errors import ServerAwayError
from tasks.settings import Settings, mask

log = structlog.get_logger()

#: A frame's subject is this and the name of its stream.
PREFIX = "binance."
#: How long the last frames may take to reach the server, in seconds.
_FLUSH_S = 10.0


class Rarely:
    """Lets a repeated warning through once in a while."""

    def __init__(self, interval_s: float = 10.0) -> None:
        """Allow one in `interval_s`."""
        self._interval_s = interval_s
        self._next_s = 0.0

    def __bool__(self) -> bool:
        """Whether it is time again; asking uses it up."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._interval_s
        return True


class Publisher:
    """One connection to NATS, which reconnects for ever; warns once each time when the server goes away."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self._servers = [url.strip() for url in settings.nats_url.split(",")]
        self._where = mask(settings.nats_url)
        self._up = asyncio.Event()
        self._warned = False
        self._rarely = Rarely()
        self.client = Client()
        #: Frames given to the server.
        self.published = 0
        #: Frames that `offer` dropped because the server was away.
        self.dropped = 0

    async def connect(self) -> None:
        """Connect, for as long as it takes. Raises ServerAwayError: the address is none."""
        try:
            await self.client.connect(
                self._servers,
                name="realtime-strategies feed",
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.5,
                connect_timeout=5,
                ping_interval=10,
                # What cannot be sent is ours to keep or to drop: the client holds back nothing while it is away.
                pending_size=0,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnect,
                reconnected_cb=self._on_connect,
            )
        except (Error, ValueError) as error:
            raise ServerAwayError(f"can't use NATS at {self._where}: {error}") from None
        await self._on_connect()

    async def close(self) -> None:
        """Send what is left, and disconnect."""
        if self.client.is_connected:
            try:
                await self.client.flush(round(_FLUSH_S))
                await self.client.drain()
            except Error as error:
                log.warning("the last frames may not have reached NATS", why=str(error) or type(error).__name__)
        await self.client.close()

    async def publish(self, stream: str, raw: bytes) -> None:
        """Publish one frame of `stream`; waits while the server is away."""
        while not self.offer(stream, raw, count=False):
            await self.wait()
        await self._yield()

    async def wait(self) -> None:
        """Wait until the server is there."""
        await self._up.wait()
    
    async def _on_error(self, error: Exception) -> None:
        await self._on_away(str(error) or type(error).__name__)

    async def _on_disconnect(self) -> None:
        await self._on_away("the connection was lost")
