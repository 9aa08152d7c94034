"""Reads a stream for who writes it down: from now on, in order, each frame once, dated as ingest dates it."""

import asyncio
from collections.abc import Callable

import structlog
from nats.errors import Error

from ingest.feeds.publisher import FeedConnection
from ingest.sources.base import FrameCallback
from ingest.sources.jetstream import StreamSource
from ingest.sources.resume import StoredOffsets
from tasks.event_loop import end
from tasks.events import Position
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()

_LOOK_S = 0.1
#: Between two attempts at a stream that can't be read.
_PAUSE_S = 0.5
#: How long the end waits for the next frame of those that the stream holds.
_END_S = 5.0


class StreamReader:
    """Reads a stream through the same source as ingest."""

    def __init__(
        self, connection: FeedConnection, settings: Settings, has_room: Callable[[], bool], lost: Callable[[int], None]
    ) -> None:
        """Read nothing yet; `has_room` and `lost` are those of `StreamSource`."""
        self._connection = connection
        # Whatever ingest reads first: a recording begins with what comes from now on.
        self._source = StreamSource(connection, settings.model_copy(update={"ingest_start": "new"}), has_room, lost)
        #: After which message it began to read.
        self._began: Position | None = None
        self._polling: asyncio.Task[None] | None = None
        self._throttle = LogThrottle()

    async def open(self, deliver: FrameCallback) -> None:
        """Deliver what is stored from now on; wait until there is a stream. Raises SettingsError: it can't be used."""
        while not await self._begin():
            await asyncio.sleep(_PAUSE_S)
        await self._source.open(deliver)
        self._polling = asyncio.create_task(self._keep_polling())

    async def _begin(self) -> bool:
        try:
            await self._source.prepare()
            await self._resume()
        except Error as error:
            self._warn(error)
            return False
        return True

    async def _resume(self) -> None:
        """Read on where it stands, also in a stream that was made again or has lost frames. Raises what NATS raises."""
        read = self._source.read
        self._began = await self._source.begin(
            StoredOffsets(), Position(read.source, read.seq) if read else self._began
        )
        self._source.resume(self._began)

    async def _keep_polling(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self._source.poll()
                if self._source.outdated:
                    await self._resume()
            except Error as error:
                self._warn(error)

    def _warn(self, error: Error) -> None:
        if self._throttle.allow():
            log.warning("the stream can't be read, retrying", why=str(error) or type(error).__name__)

    async def close(self) -> None:
        """Deliver what the stream holds at this moment, as long as frames come; then stop."""
        polling, self._polling = self._polling, None
        if polling is None:
            return
        complete = self._connection.client.is_connected and await self._read_to_the_end()
        await end(polling)
        if not complete:
            log.warning("the recording may end before the stream does", known_unread=self._source.unread)

    async def _read_to_the_end(self) -> bool:
        """Read what the stream holds at this moment; return whether that came."""
        closing = asyncio.create_task(self._source.close())
        while not closing.done():
            before = self._source.read
            await asyncio.wait({closing}, timeout=_END_S)
            if self._source.read == before:
                break
        complete = closing.done()
        await end(closing)
        return complete
