"""Frames that no shard reads: without a partition, or of one that there is not. Shard 0 hears and refuses them."""

from collections.abc import Callable, Mapping

from ingest.lanes.frame_partitions import FramePartitions
from ingest.transport.connection import NatsConnection
from ingest.transport.subscribe import listen
from tasks.frames.subjects import partition_of


class StrayListener:
    """Subscriptions to what is published where nobody reads; on core NATS, also where the rest comes from a stream."""

    def __init__(
        self, nats: NatsConnection, partitions: FramePartitions | None, refuse: Callable[[str, bytes], None]
    ) -> None:
        """`refuse` is called with the subject and the bytes of each such frame; nothing is listened to yet."""
        self._nats, self._partitions, self._refuse = nats, partitions, refuse

    async def open(self) -> None:
        """Subscribe, if this shard does so. Raises SettingsError: the login may not."""
        if self._partitions is None or not self._partitions.hears_strays:
            return

        def take(subject: str, raw: bytes, _: Mapping[str, str] | None) -> None:
            self._refuse(subject, raw)

        def take_unpartitioned(subject: str, raw: bytes, _: Mapping[str, str] | None) -> None:
            if partition_of(subject) is None:
                self._refuse(subject, raw)

        await listen(self._nats.client, ",".join(self._partitions.unpartitioned), take_unpartitioned)
        if self._partitions.beyond:
            await listen(self._nats.client, ",".join(self._partitions.beyond), take)
