"""NATS: a stream of frames with pull consumers, and the subjects of signals, which a stream may keep."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from ingest.sources.stream_setup import take
from tasks.frames.model import parse_stream
from tasks.frames.subjects import in_partition
from tasks.protocol.routing import partition
from tests.simulation.virtual_time import BEGIN_S
from tests.support.simulated_stream import Sent, SimulatedStream, StoredMessage, Told

#: What a stream's own times are counted from, unix nanoseconds.
BEGIN_NS = int(BEGIN_S) * 1_000_000_000
SIGNALS = "signals."


@dataclass
class Frame:
    """What was published."""

    subject: str
    data: bytes


def stored_at(stored_at_ns: int) -> datetime:
    """Return when a message was stored."""
    return datetime.fromtimestamp(BEGIN_S, UTC) + timedelta(microseconds=stored_at_ns // 1_000)


@dataclass
class SignalStream:
    """The stream of signals, which drops repeats by their id."""

    ids: dict[str, int] = field(default_factory=dict)

    def store(self, id_: str) -> int:
        return self.ids.setdefault(id_, len(self.ids) + 1)


class NatsServer:
    """One server, and what its clients gave it."""

    def __init__(self, now_s: Callable[[], float], *, keeps_signals: bool) -> None:
        self._now_s = now_s
        self.frames = SimulatedStream(shared=False)
        #: By how many partitions feeds publish; 0: by none.
        self.partitions = 0
        #: The numbers of those that it has lost.
        self.lost = set[int]()
        #: What each message of the stream is, by its number.
        self.contents: dict[int, Frame] = {}
        self.signals = SignalStream() if keeps_signals else None
        #: How many there were.
        self.clients = 0
        #: Every signal that came, in its order.
        self.received: list[bytes] = []
        #: Called with each of them first.
        self.on_signal: Callable[[bytes], None] = lambda _: None
        #: By consumer of the frames: what takes what it sends.
        self.readers: dict[int, Callable[[Sent | Told], None]] = {}
        #: What takes each frame, given subject and data.
        self.listeners: list[Callable[[str, bytes], None]] = []
        #: By inbox: what takes a message, given subject, data and headers.
        self.inboxes: dict[str, Callable[[str, bytes], None]] = {}

    def publish_frame(self, subject: str, data: bytes) -> int:
        """Store a frame; return its number."""
        stream = parse_stream(subject.rpartition(".")[2])
        if self.partitions and stream:
            subject = in_partition(subject, partition("spot", stream.symbol, self.partitions))
        number = self.frames.publish().number
        self.contents[number] = Frame(subject, data)
        for listener in self.listeners:
            listener(subject, data)
        self.serve()
        return number

    def read_by(self, subjects: Collection[str]) -> Callable[[StoredMessage], bool]:
        """Return whether a message of the stream is on one of some subjects."""
        return lambda stored: take(subjects, self.contents[stored.number].subject)

    def stream_info(self) -> bytes:
        """Return the answer to who asks where the stream ends."""
        last_seq = self.frames.info.last_seq
        last = self.frames.messages.get(last_seq)
        state = {"last_seq": last_seq} | ({"last_ts": stored_at(last.stored_at_ns)} if last else {})
        return msgspec.json.encode({"config": {"name": "FRAMES"}, "state": state})

    def lose_tail(self, kept_seq: int) -> None:
        """Restart without the messages after that number, which will be given to others."""
        self.lost |= {stored.number for stored in self.frames.lose_tail(kept_seq)}
        self.readers.clear()

    def serve(self) -> None:
        """Send what consumers are to get by now."""
        for item in self.frames.serve(self._now_s()):
            if take := self.readers.get(item.consumer):
                take(item)

    def receive(self, subject: str, data: bytes, reply: str, id_: str) -> None:
        """Take a message that a client published."""
        if subject.startswith(SIGNALS):
            self.on_signal(data)
            self.received.append(data)
            if reply:
                self._answer(reply, self.signals.store(id_) if self.signals else None)
        elif take := self._inbox(subject):
            take(subject, data)

    def _answer(self, reply: str, seq: int | None) -> None:
        if take := self._inbox(reply):
            take(reply, b"" if seq is None else msgspec.json.encode({"stream": "SIGNALS", "seq": seq}))

    def _inbox(self, subject: str) -> Callable[[str, bytes], None] | None:
        # `_INBOX.name`, or anything below it.
        return self.inboxes.get(".".join(subject.split(".")[:2]))

    def streams_of_signals(self) -> bytes:
        """Return the answer to who asks for the streams that take signals."""
        found: Sequence[object] = [{"config": {"name": "SIGNALS", "subjects": ["signals.>"]}}] if self.signals else []
        return msgspec.json.encode({"streams": found})
