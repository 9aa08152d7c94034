"""Publishing of feeds: into a stream where there is one, else on core NATS."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from ingest.feeds.publisher import CorePublisher, Publisher
from ingest.feeds.stream_publisher import StreamPublisher
from tasks.errors import RealtimeStrategiesError
from tasks.settings import Settings

log = structlog.get_logger()


@asynccontextmanager
async def publishing(settings: Settings) -> AsyncIterator[Publisher]:
    """Yield a connected publisher; at the end what it has is sent, whatever ended it.

    Raises SettingsError: a subject is refused, perhaps that of the last frame; NotStoredError: the stream does not have
    all that was published to it.
    """
    publisher = StreamPublisher(settings) if settings.ingest_source == "jetstream" else CorePublisher(settings)
    with publisher.client.refusals() as publisher.refused:
        try:
            await publisher.open()
            yield publisher
        finally:
            await publisher.close()
            log.info("the feed has ended", published=publisher.published, dropped=publisher.dropped)
            # Also where a signal ends the feed; what else ended it is told instead.
            if not isinstance(sys.exception(), RealtimeStrategiesError):
                publisher.check()
                publisher.verify()
