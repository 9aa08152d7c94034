"""Publishing of feeds: into a stream where there is one, else on core NATS."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from ingest.feeds.publisher import CorePublisher, Publisher
from ingest.feeds.stream_publisher import StreamPublisher
from tasks.errors import RealtimeStrategiesError, ServerUnavailableError
from tasks.events import Venue
from tasks.settings import Settings, mask

log = structlog.get_logger()


@asynccontextmanager
async def publishing(
    settings: Settings, within_s: float | None = None, venue: Venue | None = None
) -> AsyncIterator[Publisher]:
    """Yield a connected publisher; at the end what it has is sent, whatever ended it.

    `venue` is that of all frames whose stream does not name it; None: where partitions are needed, frames are read for it.

    Raises ServerUnavailableError: NATS was not there `within_s`; None waits for as long as it takes. SettingsError: a
    subject is refused, perhaps that of the last frame. NotStoredError: the stream does not have all that was published
    to it.
    """
    into_stream = settings.ingest_source == "jetstream"
    publisher = StreamPublisher(settings, venue=venue) if into_stream else CorePublisher(settings, venue)
    with publisher.client.refusals() as publisher.refused:
        try:
            await _open(publisher, settings, within_s)
            yield publisher
        finally:
            await publisher.close()
            log.info("the feed has ended", published=publisher.published, dropped=publisher.dropped)
            # Also where a signal ends the feed; what else ended it is told instead.
            if not isinstance(sys.exception(), RealtimeStrategiesError):
                publisher.check()
                publisher.verify()


async def _open(publisher: Publisher, settings: Settings, within_s: float | None) -> None:
    try:
        async with asyncio.timeout(within_s):
            await publisher.open()
    except TimeoutError:
        raise ServerUnavailableError(
            f"NATS at {mask(settings.nats_url)} was not there: nothing was published"
        ) from None
