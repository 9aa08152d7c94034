"""Frames from plain NATS: at most once by nature, no acks."""

from contextlib import suppress

import structlog
from nats.aio.subscription import Subscription
from nats.errors import Error

from ingest.sources.base import FrameCallback
from ingest.sources.resume import StoredOffsets
from ingest.transport.connection import NatsConnection
from ingest.transport.subscribe import listen
from tasks.events import Position

log = structlog.get_logger()


class CoreSource:
    """Subscriptions on core NATS. What is published while nobody listens is gone."""

    def __init__(self, nats: NatsConnection, subjects: str) -> None:
        self._nats = nats
        self._subjects = subjects
        self._subscriptions: list[Subscription] = []

    keeps = False
    outdated = False
    read = None
    read_seq = 0
    unread = 0
    left = 0

    async def prepare(self) -> None:
        """Do nothing: a subscription needs nothing to be there."""

    async def begin(self, stored: StoredOffsets, mine: Position | None) -> None:
        """Return None: nothing can be read again."""

    def resume(self, position: Position) -> None:
        """Do nothing: never called, because `begin` returns no position."""

    def compare_end(self, read_seq: int, end_seq: int) -> bool:  # noqa: ARG002 nothing is held that could be compared
        """Return False: nothing is held."""
        return False

    async def poll(self) -> None:
        """Do nothing: the client renews subscriptions by itself."""

    async def open(self, deliver: FrameCallback) -> None:
        """Subscribe. Raises SettingsError: the login may not read them."""
        self._subscriptions = await listen(self._nats.client, self._subjects, deliver)

    async def close(self) -> None:
        """Unsubscribe; what NATS had sent by then is delivered."""
        # Draining alone was seen to lose frames that the server had sent and the client had not read yet.
        with suppress(Error):
            await self._nats.client.flush()
        for subscription in self._subscriptions:
            try:
                await subscription.drain()  # type: ignore[no-untyped-call]  # nats-py's gap
            except Error as error:
                log.warning("the subscription could not be drained", why=str(error) or type(error).__name__)
