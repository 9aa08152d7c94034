"""Frames from plain NATS: who is not there misses them."""

from collections.abc import Sequence

from ingest.sources.base import FrameCallback
from ingest.sources.core import CoreSource
from ingest.sources.stream_setup import take
from tests.simulation.servers.nats_client import NatsClient


class SimulatedCore(CoreSource):
    """A subscription to the frames."""

    def __init__(self, client: NatsClient, subjects: Sequence[str]) -> None:
        self._client, self._names = client, subjects

    async def open(self, deliver: FrameCallback) -> None:
        """Subscribe."""

        def arrive(subject: str, data: bytes) -> None:
            if take(self._names, subject):
                deliver(subject, data, None)

        self._client.listen(arrive)
