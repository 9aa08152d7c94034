"""The connection to NATS that ingest reads and sends through."""

import asyncio
from collections.abc import Callable

import structlog
from nats.errors import SlowConsumerError

from ingest.connectivity import Connectivity
from tasks.clients.nats_client import NatsClient
from tasks.errors import ServerUnavailableError
from tasks.protocol.ingest_status import STATUS_SUBJECT
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

#: A server that has not answered for so long counts as unavailable, though the connection stands.
ANSWER_S = 5.0
log = structlog.get_logger()


class NatsConnection:
    """The only connection of this process to NATS: it always reconnects."""

    def __init__(self, settings: Settings, parts: Connectivity, on_slow_consumer: Callable[[], None]) -> None:
        self._parts, self._on_slow_consumer = parts, on_slow_consumer
        self._closing = False
        self._closed = asyncio.Event()
        self._throttle = LogThrottle()
        self._repeated: dict[str, LogThrottle] = {}
        self.client = NatsClient(settings)

    async def close(self) -> None:
        """Close the connection."""
        self._closing = True
        await self.client.close()

    async def connect(self) -> None:
        """Connect, for as long as it takes. Raises SettingsError: the server refuses us, or is not to be trusted."""
        await self.client.open(
            "ingest",
            self._on_error,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=5,
            # A dead link is found within 20 s.
            ping_interval=10,
            max_outstanding_pings=2,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
            closed_cb=self._on_close,
        )
        self._parts.back("nats")

    async def probe(self, within_s: float = ANSWER_S) -> None:
        """Ping NATS. A stopped server or a cut link shows here long before the connection is given up."""
        if not await self.client.answers(within_s):
            self._parts.lost("nats", f"it has not answered for {within_s:g} s")
        elif self.client.is_connected:
            self._parts.back("nats")

    async def watch(self) -> None:
        """Wait for what never happens while all is well. Raises ServerUnavailableError: nats-py won't connect again.

        It gives up after any fault that the server reports, such as a message that is too large.
        """
        await self._closed.wait()
        raise ServerUnavailableError(f"the connection to NATS was closed for good: {self.client.last_error}")

    async def _on_error(self, error: Exception) -> None:
        why = str(error) or type(error).__name__
        if isinstance(error, SlowConsumerError):
            if error.subject == STATUS_SUBJECT:
                return  # no frames: who asked too often asks again
            self._on_slow_consumer()
            if self._throttle.allow():
                log.warning("frames are dropped because ingest is slow", subject=error.subject)
        elif self.client.is_connected:
            # What others send can cause the same error any number of times; it names them behind the first quote.
            if self._repeated.setdefault(why.partition('"')[0], LogThrottle()).allow():
                log.warning("NATS reports an error", why=why)
        else:
            self._parts.lost("nats", why)

    async def _on_disconnect(self) -> None:
        if not self._closing:
            self._parts.lost("nats", "the connection was lost")

    async def _on_reconnect(self) -> None:
        self._parts.back("nats")

    async def _on_close(self) -> None:
        if not self._closing:
            self._parts.lost("nats", "the connection was closed for good")
            self._closed.set()
