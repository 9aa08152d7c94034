"""A pull consumer without acknowledgements on the server: opened after a position, asked for more, discarded in doubt.

nats-py's `fetch` is not used: it holds the first message of a batch back until the batch is full or its time is over.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js import api

from ingest.sources.pull import HEARTBEAT_S
from tasks.clients.nats_client import NatsClient
from tasks.clients.nats_message import RawMessage

ASKED_BYTES = 8 * 2**20
#: What may come with a message: its subject and headers.
AROUND_BYTES = 64 * 2**10
EXPIRES_S = 30.0
#: The server forgets a consumer that nobody has asked for so long.
FORGET_S = 60.0
NEXT = "$JS.API.CONSUMER.MSG.NEXT"
_NS = 1_000_000_000


class _Request(msgspec.Struct):
    batch: int
    max_bytes: int
    expires: int
    idle_heartbeat: int


class StreamConsumer:
    """One consumer on the server, and our subscription to its messages."""

    def __init__(self, client: NatsClient, stream: str, expires_s: float = EXPIRES_S) -> None:
        """Nothing is on the server yet: see `open`. A request ends after `expires_s` seconds."""
        self._client, self._stream, self._expires_s = client, stream, expires_s
        self._name = f"ingest-{client.new_inbox().rpartition('.')[2]}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None

    async def open(self, subjects: Sequence[str], after: int, take: "Take") -> None:
        """Make it on the server, behind the message `after`; `take` is called with each message as soon as it is read.

        Raises NATS's errors.
        """
        await self._client.jetstream().add_consumer(
            self._stream,
            api.ConsumerConfig(
                name=self._name,
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=after + 1,
                ack_policy=api.AckPolicy.NONE,
                filter_subject=subjects[0] if len(subjects) == 1 else None,
                filter_subjects=list(subjects) if len(subjects) > 1 else None,
                inactive_threshold=FORGET_S,
                mem_storage=True,
                num_replicas=1,
            ),
        )

        def on_message(subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
            take(self, RawMessage(subject, reply, data, headers))

        self._subscription = await self._client.subscribe_directly(self._inbox, on_message)

    async def request(self, count: int) -> None:
        """Request so many more messages."""
        # One that is larger than a request may take would be asked for again and again, and hold up all that follow.
        max_bytes = max(ASKED_BYTES, self._client.max_payload + AROUND_BYTES)
        request = _Request(count, max_bytes, int(self._expires_s * _NS), int(HEARTBEAT_S * _NS))
        await self._client.publish(f"{NEXT}.{self._stream}.{self._name}", msgspec.json.encode(request), self._inbox)

    async def about(self) -> api.ConsumerInfo:
        """Return the server's information on it. Raises NATS's errors."""
        about: api.ConsumerInfo = await self._client.jetstream().consumer_info(self._stream, self._name)
        return about

    async def discard(self) -> None:
        """Take it off the server, if that is possible."""
        with suppress(Error):
            if self._subscription:
                await self._subscription.unsubscribe()
            await self._client.jetstream().delete_consumer(self._stream, self._name)


#: Called with each message that a consumer sends.
Take = Callable[[StreamConsumer, RawMessage], None]
