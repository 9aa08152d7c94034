"""A JetStream stream and its consumers, simulated: what the server has and sends, without a server."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ingest.sources.pull import HEARTBEAT_S
from ingest.sources.resume import StreamSnapshot, StreamTail
from tasks.clients.nats_message import MessageMetadata

EXPIRES_S = 30.0
#: Between two messages, of which one may replace another that was lost.
APART_NS = 5_000_000
MADE = datetime(2026, 1, 1, tzinfo=UTC)


class StoredMessage(NamedTuple):
    """A message, by a number that no other one ever has."""

    number: int
    stored_at_ns: int
    ours: bool


class Sent(NamedTuple):
    """A message in transit from a consumer."""

    consumer: int
    message: MessageMetadata
    number: int


class Told(NamedTuple):
    """A status in transit from a consumer."""

    consumer: int
    headers: dict[str, str]


def status(code: int, description: str = "", pending: int = 0) -> dict[str, str]:
    return {"Status": str(code), "Description": description, "Nats-Pending-Messages": str(pending)}


@dataclass
class _Consumer:
    next_seq: int
    sent: int = 0
    #: Requests: how many messages each may still get, and when it ends.
    requests: list[tuple[int, float]] = field(default_factory=list)
    beat_s: float = 0.0
    #: Whether a message is on the subjects that it is for; None: all are.
    wants: Callable[[StoredMessage], bool] | None = None

    @property
    def wanted(self) -> int:
        return sum(count for count, _ in self.requests)

    def fill(self) -> None:
        """Take one message off the first request."""
        count, end_s = self.requests[0]
        self.requests[:1] = [(count - 1, end_s)] if count > 1 else []


class SimulatedStream:
    """One stream, which may forget its first messages, lose its last, and be created again."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._created = self._published = 0
        self.messages: dict[int, StoredMessage] = {}
        self._last_seq = 0
        self.consumers: dict[int, _Consumer] = {}
        self.opened = 0
        #: All messages that were ever stored on subjects that are read.
        self.frames: set[int] = set()

    @property
    def published(self) -> int:
        """How many messages were ever stored."""
        return self._published

    @property
    def info(self) -> StreamSnapshot:
        first_seq = min(self.messages, default=self._last_seq + 1)
        return StreamSnapshot(
            "FRAMES", MADE + timedelta(seconds=self._created), first_seq, self._last_seq, self._shared
        )

    @property
    def ours(self) -> set[int]:
        """The numbers of the messages on subjects that are read."""
        return {seq for seq, stored in self.messages.items() if stored.ours}

    # What publishers and operators do

    def publish(self, *, ours: bool = True) -> StoredMessage:
        self._published += 1
        if ours:
            self.frames.add(self._published)
        self._last_seq += 1
        stored = StoredMessage(self._published, self._published * APART_NS, ours)
        self.messages[self._last_seq] = stored
        return stored

    def forget(self, seqs: list[int]) -> list[StoredMessage]:
        return [self.messages.pop(seq) for seq in seqs]

    def lose_tail(self, kept_seq: int) -> list[StoredMessage]:
        """Restart without the messages after that number, which will be given to others."""
        self.consumers.clear()
        self._last_seq = kept_seq
        return self.forget([seq for seq in self.messages if seq > kept_seq])

    def create_again(self) -> list[StoredMessage]:
        lost = self.lose_tail(0)
        self._created += 1
        return lost

    # What a reader asks

    def stored_at_ns(self, tail: StreamTail) -> int | None:
        stored = self.messages.get(tail.frame.seq) if tail.frame else None
        return stored.stored_at_ns if stored else None

    def end_before(self, time_ns: int) -> int:
        before = [seq for seq, stored in self.messages.items() if stored.stored_at_ns < time_ns]
        return max(before, default=self.info.first_seq - 1)

    def open(self, after_seq: int, wants: Callable[[StoredMessage], bool] | None = None) -> int:
        self.opened += 1
        self.consumers[self.opened] = _Consumer(after_seq + 1, wants=wants)
        return self.opened

    def waiting(self, consumer: int) -> int:
        """Return how many messages a consumer has still to send."""
        return len(self._waiting(self.consumers[consumer])) if consumer in self.consumers else 0

    def delivered(self, consumer: int) -> int | None:
        """Return how many messages a consumer has sent; None: there is no such consumer."""
        return self.consumers[consumer].sent if consumer in self.consumers else None

    def request(self, consumer: int, count: int, now_s: float) -> Told | None:
        """Take a request; return what is told if nobody answers for the consumer."""
        if consumer not in self.consumers:
            return Told(consumer, status(503))
        asked = self.consumers[consumer]
        if not asked.requests:
            asked.beat_s = now_s + HEARTBEAT_S
        asked.requests.append((count, now_s + EXPIRES_S))
        return None

    # What is sent

    def serve(self, now_s: float) -> list[Sent | Told]:
        """Return all that the consumers send at this moment."""
        return [item for name in self.consumers for item in self._serve(name, self.consumers[name], now_s)]

    def _waiting(self, consumer: _Consumer) -> list[int]:
        # They stand in their order; after each one that is sent, most were sent before.
        next_seq, wants = consumer.next_seq, consumer.wants
        if next_seq > self._last_seq:
            return []
        found = [seq for seq, stored in self.messages.items() if seq >= next_seq and stored.ours]
        return [seq for seq in found if wants(self.messages[seq])] if wants else found

    def _serve(self, name: int, consumer: _Consumer, now_s: float) -> list[Sent | Told]:
        if not consumer.requests:
            return []
        items: list[Sent | Told] = []
        waiting = self._waiting(consumer)
        for left, seq in zip(range(len(waiting) - 1, -1, -1), waiting, strict=True):
            if not consumer.requests:
                break
            consumer.fill()
            consumer.sent, consumer.next_seq, stored = consumer.sent + 1, seq + 1, self.messages[seq]
            items.append(Sent(name, MessageMetadata(seq, consumer.sent, stored.stored_at_ns, left), stored.number))
        if consumer.requests and now_s >= consumer.beat_s:
            consumer.beat_s = now_s + HEARTBEAT_S
            items.append(Told(name, status(100)))
        ended = [count for count, end_s in consumer.requests if now_s >= end_s]
        consumer.requests = [request for request in consumer.requests if now_s < request[1]]
        return items + [Told(name, status(408, "Request Timeout", count)) for count in ended]
