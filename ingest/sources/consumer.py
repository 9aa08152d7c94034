"""A pull consumer without acknowledgements: opened after a position, asked for more, thrown away in doubt.

nats-py's `fetch` is not used: it holds the first message of a batch back until the batch is full or its time is over.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.js import api

#: How many messages are asked for at a time; more are asked for when half of them have come.
ASKED = 1_000
ASKED_BYTES = 8 * 2**20
#: What may come with a message: its subject and headers.
AROUND_BYTES = 64 * 2**10
EXPIRES_S = 30.0
#: While there is nothing to deliver, the server says so this often.
HEARTBEAT_S = 1.0
#: The server forgets a consumer that nobody has asked for so long.
FORGET_S = 60.0
#: Of the status 409: how a request ends that has got what it might get. Every other one is trouble.
FILLED = {"Batch Completed", "Message Size Exceeds MaxBytes"}
NEXT = "$JS.API.CONSUMER.MSG.NEXT"
_NS = 1_000_000_000


class _Request(msgspec.Struct):
    batch: int
    max_bytes: int
    expires: int
    idle_heartbeat: int


class Consumer:
    """One consumer on the server, and our subscription to what it sends."""

    def __init__(self, client: Client, stream: str) -> None:
        """Nothing is on the server yet: see `open`."""
        self._client, self._stream = client, stream
        self._name = f"ingest-{client.new_inbox().rpartition('.')[2]}"
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._reconnects = client.stats["reconnects"]
        #: How many messages have come from it.
        self.count = 0
        #: How many messages are asked for and have not come.
        self.asked = 0
        self.opened_s = time.monotonic()
        #: When a message last came, or the word that there is none.
        self.heard_s = self.opened_s
        #: Why the server takes no requests for it any more.
        self.refused = ""

    async def open(
        self, subjects: Sequence[str], after: int, take: Callable[["Consumer", Msg], Awaitable[None]]
    ) -> None:
        """Make it on the server, behind the message `after`; `take` is called with each message. Raises NATS's errors."""
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

        async def on_message(message: Msg) -> None:
            await take(self, message)

        self._subscription = await self._client.subscribe(self._inbox, cb=on_message)

    @property
    def pending(self) -> int:
        """How many messages have arrived and are not taken yet."""
        return self._subscription.pending_msgs if self._subscription else 0

    @property
    def cut_off(self) -> bool:
        """Whether the connection is another one than it was opened on."""
        return self._reconnects != self._client.stats["reconnects"]

    @property
    def wants_more(self) -> bool:
        """Whether half of what was asked for has come."""
        return self.asked <= ASKED // 2

    async def ask(self) -> None:
        """Ask for as many messages as may be on their way."""
        count = ASKED - self.asked
        self.asked += count
        # One that is larger than a request may take would be asked for again and again, and hold up all that follow.
        max_bytes = max(ASKED_BYTES, self._client.max_payload + AROUND_BYTES)
        request = _Request(count, max_bytes, int(EXPIRES_S * _NS), int(HEARTBEAT_S * _NS))
        await self._client.publish(f"{NEXT}.{self._stream}.{self._name}", msgspec.json.encode(request), self._inbox)

    def hear(self, headers: Mapping[str, str]) -> None:
        """Take what the server says instead of a message."""
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":  # nothing to deliver
            self.heard_s = time.monotonic()
        elif status == "408" or description in FILLED:
            # The request is over, unfilled: it expired, or it took as many bytes as it might.
            self.asked = max(0, self.asked - int(headers.get("Nats-Pending-Messages") or self.asked))
        elif status == "503":
            self.refused = "nobody answers for the consumer"
        else:  # it was deleted, its leader changed, or something that is not known yet
            self.refused = f"{status} {description}".strip()

    async def about(self) -> api.ConsumerInfo:
        """Give what the server says of it. Raises NATS's errors."""
        about: api.ConsumerInfo = await self._client.jetstream().consumer_info(self._stream, self._name)
        return about

    def has_all(self, about: api.ConsumerInfo) -> bool:
        """Whether everything has come that was sent."""
        return about.delivered is not None and about.delivered.consumer_seq <= self.count

    async def discard(self) -> None:
        """Take it off the server, if that is possible."""
        with suppress(Error):
            if self._subscription:
                await self._subscription.unsubscribe()
            await self._client.jetstream().delete_consumer(self._stream, self._name)
