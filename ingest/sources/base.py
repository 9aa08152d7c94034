"""Where frames come from. `CoreSource` is plain NATS: at most once by nature, no acks."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error, SlowConsumerError

from ingest.connectivity import Connectivity
from ingest.sources.resume import LastFrame, StoredOffsets
from ingest.transport.subscribe import listen
from tasks.clients.nats_client import NatsClient
from tasks.errors import ServerUnavailableError
from tasks.events import Position
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

#: A server that has not answered for so long counts as away, though the connection stands.
ANSWER_S = 5.0
log = structlog.get_logger()


class Deliver(Protocol):
    """Called for each frame, in order, on the event loop. Must not block or raise."""

    def __call__(
        self,
        subject: str,
        raw: bytes,
        headers: Mapping[str, str] | None,
        seq: int = 0,
        stored_at_ns: int | None = None,
        /,
    ) -> None:
        """Take a frame; a source that numbers and dates its frames says so."""


class Source(Protocol):
    """What gives frames to ingest, in order, each once."""

    #: Whether what is not worked off at a stop is there for the next start.
    keeps: bool
    #: Whether it is not what it was any more: then a new epoch has to begin.
    outdated: bool

    @property
    def pending(self) -> int:
        """How many frames have arrived and are not delivered yet."""

    @property
    def read(self) -> LastFrame | None:
        """The last frame that was delivered, where it can be found again."""

    @property
    def unread(self) -> int:
        """How many frames wait at the source to be read, as far as is known."""

    @property
    def left(self) -> int | None:
        """How many frames the source held when `close` was called that are not read; None: nobody knows."""

    async def prepare(self) -> None:
        """See to it that it can be read. Raises SettingsError for what a person must mend, and what NATS raises."""

    async def begin(self, stored: StoredOffsets, mine: Position | None) -> Position | None:
        """Say after which position a new epoch begins; None where nothing can be read again.

        `mine` is where this process stands. Raises what NATS raises.
        """

    def resume(self, position: Position) -> None:
        """Read on after this position; what was read before is ignored."""

    async def poll(self) -> None:
        """Called several times a second: mend what is broken."""

    async def open(self, deliver: Deliver) -> None:
        """Start to deliver. Called once, when everything behind it is ready."""

    async def close(self) -> None:
        """Stop the flow; everything that had arrived is delivered before this returns."""


class Nats:
    """The one connection to NATS of this process: it reconnects for ever."""

    def __init__(self, settings: Settings, parts: Connectivity, on_slow_consumer: Callable[[], None]) -> None:
        self._parts, self._on_slow_consumer = parts, on_slow_consumer
        self._closing = False
        self._closed = asyncio.Event()
        self._throttle = LogThrottle()
        self.client = NatsClient(settings)

    async def close(self) -> None:
        """Let go of NATS."""
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
        """Ask NATS for an answer. A stopped server or a cut link shows here long before the connection is given up."""
        if not await self.client.answers(within_s):
            self._parts.lost("nats", f"it has not answered for {within_s:g} s")
        elif self.client.is_connected:
            self._parts.back("nats")

    async def watch(self) -> None:
        """Wait for what never happens while all is well. Raises ServerAwayError: nats-py won't connect again.

        It gives up after any fault that the server reports, such as a message that is too large.
        """
        await self._closed.wait()
        raise ServerUnavailableError(f"the connection to NATS was closed for good: {self.client.last_error}")

    async def _on_error(self, error: Exception) -> None:
        why = str(error) or type(error).__name__
        if isinstance(error, SlowConsumerError):
            self._on_slow_consumer()
            if self._throttle.allow():
                log.warning("frames are dropped because ingest is slow", subject=error.subject)
        elif self.client.is_connected:
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


class CoreSource:
    """Subscriptions on core NATS. What is published while nobody listens is gone."""

    def __init__(self, nats: Nats, subjects: str) -> None:
        self._nats = nats
        self._subjects = subjects
        self._subscriptions: list[Subscription] = []

    keeps = False
    outdated = False
    read = None
    unread = 0
    left = 0

    async def prepare(self) -> None:
        """Do nothing: a subscription needs nothing to be there."""

    async def begin(self, stored: StoredOffsets, mine: Position | None) -> None:
        """Nothing can be read again."""

    def resume(self, position: Position) -> None:
        """Is never called, because `begin` names no position."""

    async def poll(self) -> None:
        """Do nothing: the client renews subscriptions by itself."""

    @property
    def pending(self) -> int:
        """How many frames have arrived and are not delivered yet."""
        return sum(subscription.pending_msgs for subscription in self._subscriptions)

    async def open(self, deliver: Deliver) -> None:
        """Subscribe. Raises SettingsError: the login may not read them."""

        async def on_message(message: Msg) -> None:
            deliver(message.subject, message.data, message.headers)

        self._subscriptions = await listen(self._nats.client, self._subjects, on_message)

    async def close(self) -> None:
        """Unsubscribe; what NATS had sent by then is delivered."""
        # Draining alone was seen to lose frames that the server had sent and the client had not read yet.
        with suppress(Error):
            await self._nats.client.flush()
        for subscription in self._subscriptions:  # in their order: the last one takes the messages of all
            try:
                await subscription.drain()  # type: ignore[no-untyped-call]  # nats-py's gap
            except Error as error:
                log.warning("the subscription could not be drained", why=str(error) or type(error).__name__)
        # What had arrived is delivered all the same when NATS is away.
        while self.pending and not self._nats.client.is_closed:
            await asyncio.sleep(0.01)
