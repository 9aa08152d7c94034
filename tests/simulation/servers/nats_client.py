"""What ingest uses of its NATS client: a connection that may be cut, and comes back."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from types import SimpleNamespace
from typing import Any

import redis
from nats.errors import ConnectionReconnectingError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import NotFoundError

from tasks.clients.nats_client import Take
from tasks.clients.nats_message import RawMessage
from tests.simulation.servers.nats_server import BEGIN_NS, NatsServer, stored_at
from tests.simulation.servers.network import Network
from tests.support.simulated_stream import Sent, Told

#: How long a client takes to come back at most.
RECONNECT_S = 1.0


class NatsClient:
    """One connection to the server."""

    max_payload = 2**20
    has_jetstream = True
    is_closed = False

    def __init__(self, server: NatsServer, network: Network) -> None:
        self._server, self.network, self._loop = server, network, asyncio.get_running_loop()
        server.clients += 1
        self._name = str(server.clients)
        self.stats = {"reconnects": 0}
        self.is_connected = True
        self._cuts = network.cuts
        self._inboxes = 0
        #: When what is sent now arrives at the earliest, and what is received.
        self._sent_s = self._received_s = 0.0
        self._context = copy_context()

    # The connection

    async def watch(self) -> None:
        """Notice that the connection was cut, and come back. Never ends."""
        while True:
            await asyncio.sleep(0.25)
            if not self.is_connected or self.network.is_down or self.network.cuts != self._cuts:
                self.is_connected = False
                await asyncio.sleep(0.1 + RECONNECT_S * self.network.delay_s)
                if not self.network.is_down:
                    self._cuts, self.is_connected = self.network.cuts, True
                    self.stats["reconnects"] += 1

    async def _call(self, serve: Callable[[], Any]) -> Any:
        if not self.is_connected:
            raise ConnectionReconnectingError
        try:
            return await self.network.call(serve)
        except redis.ConnectionError:
            raise NatsTimeoutError from None

    def _deliver(self, take: Callable[..., None], *arguments: Any) -> None:
        """Have something arrive here, in its order, unless the connection is cut before."""
        cuts, connection = self.network.cuts, self.stats["reconnects"]

        def arrive() -> None:
            if cuts == self.network.cuts and connection == self.stats["reconnects"]:
                take(*arguments)

        self._received_s = max(self._received_s, self._loop.time() + self.network.delay_s)
        self._loop.call_at(self._received_s, arrive, context=self._context)

    # Plain NATS

    def new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX.{self._name}-{self._inboxes}"

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a message; nobody says whether it arrives."""
        if not self.is_connected:
            raise ConnectionReconnectingError
        cuts = self.network.cuts
        self._sent_s = max(self._sent_s, self._loop.time() + self.network.delay_s)
        id_ = (headers or {}).get("Nats-Msg-Id", "")

        def arrive() -> None:
            if cuts == self.network.cuts and not self.network.is_down:
                self._server.receive(subject, payload, reply, id_)

        # What was sent arrives, also where its sender is killed meanwhile.
        self._loop.call_at(self._sent_s, arrive, context=Context())

    async def subscribe(self, subject: str, **_: Any) -> "_Subscription":
        subscription = _Subscription()
        self._server.inboxes[subject] = lambda _, data: self._deliver(subscription.put, data)
        return subscription

    async def subscribe_directly(self, subject: str, take: Take) -> None:
        self._server.inboxes[subject.removesuffix(".>")] = lambda to, data: self._deliver(
            take, to.encode(), b"", data, None if data else b"NATS/1.0 503\r\n\r\n"
        )

    @contextmanager
    def refusals(self, on_refused: Callable[[], None] | None = None) -> Iterator[set[str]]:
        """Gather nothing: everything may be published."""
        del on_refused
        yield set()

    async def ask(self, subject: str, payload: bytes, timeout_s: float) -> bytes | None:
        """Return the streams that take signals; nothing else is asked for."""
        del subject, payload, timeout_s
        answer: bytes = await self._call(self._server.streams_of_signals)
        return answer

    def listen(self, take: Callable[[str, bytes], None]) -> None:
        """Have `take` called with each frame from now on."""
        self._server.listeners.append(lambda subject, data: self._deliver(take, subject, data))

    # JetStream

    def jetstream(self) -> "NatsClient":
        return self

    async def request(self, subject: str, timeout: float) -> Any:  # noqa: ASYNC109 nats-py's
        """Return where the stream of frames ends; nothing else is asked for."""
        del subject, timeout
        return SimpleNamespace(data=await self._call(self._server.stream_info))

    async def stream_info(self, name: str, subjects_filter: str = "") -> Any:
        del subjects_filter

        def read() -> Any:
            info = self._server.frames.info
            return SimpleNamespace(
                config=SimpleNamespace(
                    name=name, subjects=["binance.>"], retention=None, sources=None, max_age=None, num_replicas=1
                ),
                created=info.created,
                state=SimpleNamespace(
                    first_seq=info.first_seq,
                    last_seq=info.last_seq,
                    subjects=dict.fromkeys((each.subject for each in self._server.contents.values()), 1),
                ),
            )

        return await self._call(read)

    async def get_msg(self, _: str, seq: int) -> Any:
        def read() -> Any:
            return self._server.frames.messages.get(seq)

        stored = await self._call(read)
        if stored is None:
            raise NotFoundError
        return SimpleNamespace(time=stored_at(stored.stored_at_ns))

    async def add_consumer(self, _: str, config: Any) -> Any:
        """Answer where a time lies in the stream: the only use of this call that does not go through `StreamReader`."""
        from_s = config.opt_start_time.timestamp()

        def read() -> int:
            frames = self._server.frames
            before = [
                seq for seq, stored in frames.messages.items() if stored_at(stored.stored_at_ns).timestamp() < from_s
            ]
            return max(before, default=frames.info.first_seq - 1)

        seq = await self._call(read)
        return SimpleNamespace(name=config.name, delivered=SimpleNamespace(stream_seq=seq))

    async def delete_consumer(self, *_: str) -> None:
        """Do nothing: it is forgotten."""


class _Subscription:
    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._arrived = asyncio.Event()

    def put(self, data: bytes) -> None:
        self._messages.append(data)
        self._arrived.set()

    async def next_msg(self, timeout: float) -> bytes:  # noqa: ASYNC109 nats-py's
        try:
            async with asyncio.timeout(timeout):
                await self._arrived.wait()
        except TimeoutError:
            raise NatsTimeoutError from None
        return self._messages.popleft()

    async def unsubscribe(self) -> None:
        """Do nothing: nothing more comes."""


class StreamReader:
    """A pull consumer, in place of `StreamConsumer`."""

    def __init__(self, client: Any, stream: str) -> None:
        self._client: NatsClient = client
        self._stream = stream
        self._consumer = 0

    @property
    def _frames(self) -> Any:
        return self._client._server.frames

    async def open(self, subjects: Any, after: int, take: Callable[[Any, RawMessage], None]) -> None:
        server = self._client._server

        def arrive(item: Sent | Told) -> None:
            take(self, _message(item, server))

        def send(item: Sent | Told) -> None:
            # A server drops what a client that is slow does not take.
            if not self._client.network.loses(self._client.network.weather.lost_answers / 4):
                self._client._deliver(arrive, item)

        def make() -> int:
            consumer: int = self._frames.open(after, server.read_by(subjects) if server.partitions else None)
            server.readers[consumer] = send
            return consumer

        self._consumer = await self._client._call(make)

    async def request(self, count: int) -> None:
        server, loop, network = self._client._server, asyncio.get_running_loop(), self._client.network
        cuts = network.cuts

        def arrive() -> None:
            if cuts == network.cuts and not network.is_down:
                told = self._frames.request(self._consumer, count, loop.time())
                if told and (take := server.readers.get(self._consumer)):
                    take(told)
                server.serve()

        loop.call_later(network.delay_s, arrive, context=Context())

    async def about(self) -> Any:
        def read() -> tuple[int | None, int]:
            return self._frames.delivered(self._consumer), self._frames.waiting(self._consumer)

        delivered, waiting = await self._client._call(read)
        if delivered is None:
            raise NotFoundError
        return SimpleNamespace(delivered=SimpleNamespace(consumer_seq=delivered), num_pending=waiting)

    async def discard(self) -> None:
        self._client._server.readers.pop(self._consumer, None)


def _message(item: Sent | Told, server: NatsServer) -> RawMessage:
    if isinstance(item, Told):
        status, description, pending = item.headers.values()
        headers = f"NATS/1.0 {status} {description}\r\nNats-Pending-Messages: {pending}\r\n\r\n"
        return RawMessage(b"", b"", b"", headers.encode())
    frame, about = server.contents[item.number], item.message
    numbers = f"{about.stream_seq}.{about.consumer_seq}.{BEGIN_NS + about.stored_at_ns}.{about.pending}"
    return RawMessage(frame.subject.encode(), f"$JS.ACK.S.C.1.{numbers}".encode(), frame.data, None)
