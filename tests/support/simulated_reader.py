"""A process that reads a simulated stream: its cursor is the real one, what its source asks is modelled in a few lines.

It checks what it delivers: under one name of the source a number is one frame, frames come in order, each once, and what
is skipped the stream does not have, which is counted. What comes later, and what goes wrong, is up to a test.
"""

from collections.abc import Callable, Generator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ingest.sources import resume
from ingest.sources.cursor import CursorStep, PendingConsumer, StreamCursor
from ingest.sources.pull import Pacing
from tasks.events import Position
from tests.support.simulated_stream import Sent, SimulatedStream, Told

PACING = Pacing(batch=8)
TICK_S = 0.05
T = TypeVar("T")
#: What is asked of the server: it yields while the question, and while the answer, is in transit.
Asking = Generator[None, None, T]


class UnavailableError(Exception):
    """The server does not answer."""


@dataclass
class SimulatedReader:
    """A stream, the connection to its server, and the process, whose ledger knows all that it has read."""

    shared: bool = False
    now_s: float = 0.0
    #: Whether there is room for more, and whether the server answers.
    has_room: bool = True
    answers: bool = True
    connected: bool = True
    connection: int = 0
    consumer: int = 0
    wire: list[Sent | Told] = field(default_factory=list)
    polling: Asking[None] | None = None
    #: By name of the source and number: which frame was delivered.
    seen: dict[tuple[str, int], int] = field(default_factory=dict)
    delivered: list[int] = field(default_factory=list)
    #: How many frames are counted as forgotten.
    counted: int = 0
    #: After which frame nothing may come under a name, because frames were lost that had come under it.
    spoiled: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    #: How often an opening was due at once.
    causes: int = 0

    def __post_init__(self) -> None:
        self.stream = SimulatedStream(shared=self.shared)
        self.stored = resume.StoredOffsets()
        self.start()
        # What a stream forgets before it is first read is not missed.
        self.until(lambda: self.cursor.position)

    def start(self) -> None:
        """Start a process, which knows what the ledger does."""
        self.cursor, self.polling, self.consumer = StreamCursor(PACING), None, 0
        self.causes += 1

    def until(self, condition: Callable[[], Any]) -> None:
        for _ in range(10_000):
            if condition():
                return
            self.serve()
            self.take()
            self.poll()
        raise AssertionError(f"waited without an answer at {self.cursor.position}")

    def serve(self) -> None:
        self.wire += self.stream.serve(self.now_s) if self.connected else []

    # The process

    def poll(self) -> None:
        """Go on with what is asked until the next question or answer, or begin to look again."""
        self.now_s += TICK_S
        self.polling = self.polling or self.run_once()
        try:
            next(self.polling)
        except (StopIteration, UnavailableError):
            self.polling = None

    def ask(self, question: Callable[[], T]) -> Asking[T]:
        connection = self.connection
        yield
        if not self.answers or connection != self.connection:
            raise UnavailableError
        answer = question()
        yield
        if not self.answers:
            raise UnavailableError
        return answer

    def run_once(self) -> Asking[None]:
        if self.cursor.position is None:
            self.cursor.note_stream((yield from self.ask(lambda: self.stream.info)))
            yield from self.begin()
        yield from self.step()
        if self.cursor.outdated:
            yield from self.begin()

    def begin(self) -> Asking[None]:
        """Begin an epoch where the ledger and the process say."""
        cursor, stream, stored = self.cursor, self.cursor.stream, self.stored
        assert stream
        frontiers = [cursor.position] if cursor.position else list(stored.frontiers)
        cursor.restore_last_read(stored.read)
        tail, kept_seq = cursor.tail_to_verify([*frontiers, *stored.reached]), None
        if tail and not tail.is_held(stream, (yield from self.ask(lambda: self.stream.stored_at_ns(tail)))):
            kept_seq = stream.last_seq
            if frame := tail.frame:
                end_seq = yield from self.ask(lambda: self.stream.end_before(frame.stored_at_ns))
                kept_seq = min(end_seq, stream.last_seq)
        self.resume(resume.begin(stream, frontiers, "first", kept_seq))

    def resume(self, position: Position) -> None:
        self.cursor.resume(position)
        self.causes += 1

    def step(self) -> Asking[None]:
        if not self.connected:
            return
        step = self.cursor.next_step(self.now_s, self.connection, has_room=self.has_room)
        if step:
            self.steps[step.action] = self.steps.get(step.action, 0) + 1
        match step:
            case CursorStep("reopen"):
                pending = self.cursor.prepare_consumer(self.connection)
                try:
                    yield from self.open(pending)
                except UnavailableError:
                    self.cursor.failed(self.now_s)
            case CursorStep("compare"):
                self.count(self.cursor.count_forgotten((yield from self.ask(lambda: self.stream.info)).first_seq))
            case CursorStep("check"):
                consumer = self.consumer
                delivered = yield from self.ask(lambda: self.stream.delivered(consumer))
                if delivered is None:
                    self.cursor.doubt("consumer not found")
                else:
                    self.cursor.checked(delivered)
            case CursorStep("request"):
                self.request()

    def open(self, pending: PendingConsumer) -> Asking[None]:
        stream, ours = yield from self.ask(lambda: (self.stream.info, self.stream.ours))
        stored_at_ns = yield from self.ask(lambda: self.stream.stored_at_ns(pending.tail))
        before = self.cursor.position
        start = self.cursor.locate(pending, stream, stored_at_ns)
        if start is None:
            return
        assert before
        self.check_skipped(range(before.seq + 1, start.after_seq + 1), ours, start.forgotten)
        self.consumer = yield from self.ask(lambda: self.stream.open(start.after_seq))
        if self.cursor.opened(pending, self.now_s):
            self.request()

    def request(self) -> None:
        count = self.cursor.missing
        if count and self.has_room:
            assert count >= PACING.batch // 2
            self.cursor.requested(count, self.now_s)
            if self.connected and (told := self.stream.request(self.consumer, count, self.now_s)):
                self.wire.append(told)
            assert all(each.wanted <= PACING.batch for each in self.stream.consumers.values())

    def take(self) -> None:
        """Take what comes next."""
        if not self.wire:
            return
        item = self.wire.pop(0)
        if item.consumer != self.consumer:
            return
        if isinstance(item, Told):
            self.cursor.hear(item.headers, self.now_s)
        else:
            self.on_message(item)
        self.request()

    def on_message(self, item: Sent) -> None:
        before = self.cursor.position
        receipt = self.cursor.receive(item.message, self.connection, self.now_s)
        if not receipt.deliver:
            assert self.cursor.position == before
            return
        position = self.cursor.position
        assert before
        assert position
        assert position == Position(before.source, item.message.stream_seq)
        assert position.seq > before.seq
        self.check_skipped(range(before.seq + 1, position.seq), self.stream.ours, receipt.forgotten)
        # Then: under one name a number is one frame, and none comes that was stored after a loss of some that had come.
        assert self.seen.setdefault((position.source, position.seq), item.number) == item.number
        assert item.number <= self.spoiled.get(position.source, item.number)
        self.delivered.append(item.number)

    def check_skipped(self, seqs: range, ours: AbstractSet[int], forgotten: int) -> None:
        """Check that the stream does not have what is skipped; in one of our own, all of it is counted."""
        assert ours.isdisjoint(seqs)
        assert forgotten == len(seqs) or self.shared
        self.count(forgotten)

    def count(self, forgotten: int) -> None:
        assert forgotten >= 0
        self.counted += forgotten
