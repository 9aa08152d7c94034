"""Frames from plain NATS: who is not there misses them."""

from ingest.sources.base import FrameCallback
from ingest.sources.core import CoreSource
from tests.simulation.servers.nats_client import NatsClient


class SimulatedCore(CoreSource):
    """A subscription to the frames."""

    def __init__(self, client: NatsClient) -> None:
        self._client = client

    async def open(self, deliver: FrameCallback) -> None:
        """Subscribe."""
        self._client.listen(lambda subject, data: deliver(subject, data, None))
