"""The read position in a stream, and the next action. Pure: time is an argument, in monotonic seconds.

    closed ──prepare_consumer, locate, opened──► reading ──doubt, or a new connection──► closed
      ▲          │
      └─resume── └──► outdated: the stream was created again, or has lost frames that were read

Nothing is acknowledged: a message is taken if it is the next one of the one consumer that is read. Whenever something
may be missing, nothing more is taken from that consumer, and another one is opened after the last frame that was taken.
What is asked for is bounded, and so is how often consumers are opened.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from ingest.sources.passing import Passing, SequenceGaps, StreamEndpoint
from ingest.sources.pull import Pacing, PullRequest
from ingest.sources.resume import LastFrame, StreamSnapshot, StreamTail, tail_of
from ingest.sources.stream_end import USELESS, StreamEnd
from tasks.clients.nats_message import MessageMetadata
from tasks.events import Position

Action = Literal["reopen", "compare", "check", "request"]


class CursorStep(NamedTuple):
    """The next action: open a consumer, compare the stream's first message, check the consumer, or request more."""

    action: Action
    why: str = ""


class PendingConsumer(NamedTuple):
    """A consumer that is being opened; it is outdated once reading is resumed from elsewhere."""

    resumes: int
    connection: int
    tail: StreamTail


class ConsumerStart(NamedTuple):
    """The message after which a consumer is to be opened, and how many were lost before it."""

    after_seq: int
    forgotten: int


class ReceiveDecision(NamedTuple):
    """How a message is to be handled, and how many frames were lost before it."""

    deliver: bool
    forgotten: int = 0


IGNORED = ReceiveDecision(deliver=False)


class StreamCursor:
    """The read position in a stream: each message is taken once, in order, and again after `resume`."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        #: The stream as it was last seen.
        self.stream: StreamSnapshot | None = None
        #: The last frame that was taken or given up; None until it is known where to read.
        self.position: Position | None = None
        #: The furthest frame that was taken, also after `resume` from further back.
        self.read: LastFrame | None = None
        #: Whether the stream was created again, or lost frames that were read: a new epoch has to begin.
        self.outdated = False
        #: Messages of the stream that were not read when the last one was sent.
        self.unread = 0
        #: What is read from; None: nothing is.
        self.pull: PullRequest | None = None
        self.gaps = SequenceGaps()
        #: The last frame that was taken; above it, `position` may have passed messages that others read.
        self._taken_seq = 0
        self._passing = Passing()
        self._end = StreamEnd()
        #: How often `resume` was called.
        self._resumes = 0
        #: When a frame last came, or the server was asked what it has sent.
        self._checked_s = 0.0
        #: Not before this moment is another consumer opened.
        self._pause_until_s = 0.0

    # Where to read

    def note_stream(self, stream: StreamSnapshot) -> None:
        """Note the stream's current state."""
        self.stream = stream

    def restore_last_read(self, stored: LastFrame | None) -> None:
        """Take the last frame read by an earlier process as the furthest one, unless this process has read one."""
        self.read = self.read or stored

    def tail_to_verify(self, known: Iterable[Position]) -> StreamTail | None:
        """Return what the stream may have lost before an epoch begins; None: nothing.

        `known` are positions elsewhere.
        """
        # While it is read it is looked at, and will be again on the next connection.
        if self.stream is None or (self.position and not self.outdated):
            return None
        return tail_of(self.stream, [*known, self.position] if self.position else known, self.read)

    def resume(self, position: Position) -> None:
        """Read on after this position; what comes from before this call is ignored."""
        self.position, self.outdated = position, False
        self._resumes += 1
        self.pull = None
        self.gaps.clear()
        self._taken_seq = self.seq
        self._passing.clear()

    @property
    def seq(self) -> int:
        """The number of the last frame that was taken or given up; 0: none."""
        return self.position.seq if self.position else 0

    def _advance(self, seq: int) -> None:
        if self.position:
            self.position = Position(self.position.source, seq)
            self._taken_seq = seq

    # What to do next

    def next_step(self, now_s: float, connection: int, *, has_room: bool) -> CursorStep | None:
        """Decide what to do now; None: nothing. `connection` is the number of the client's connection."""
        if self.position is None or self.outdated:
            return None
        if why := self._why_reopen(now_s, connection):
            return CursorStep("reopen", why) if now_s > self._pause_end_s else None
        if self.gaps.count and now_s - self.gaps.compared_s > self._pacing.check_s:
            self.gaps.ask(self.seq, now_s)
            return CursorStep("compare")
        if now_s - self._checked_s > self._pacing.check_s:
            self._checked_s = now_s
            return CursorStep("check")
        return CursorStep("request") if has_room and self.missing else None

    def _why_reopen(self, now_s: float, connection: int) -> str:
        if self.pull is None:
            return "a start"
        if self.pull.connection != connection:
            return self.pull.doubt or "a new connection"
        if self.pull.is_silent(now_s):
            self.pull.give_up("silence")
        return self.pull.doubt

    @property
    def _pause_end_s(self) -> float:
        """Until when no consumer is opened: not one after the other at once while they are of no use."""
        if self.pull is None or not self.pull.doubt:
            return self._pause_until_s
        return max(self._pause_until_s, self.pull.opened_s + self._pacing.pause_s)

    @property
    def missing(self) -> int:
        """How many messages to ask for, if there is room; 0 while enough of them are in flight."""
        return self.pull.missing if self.pull else 0

    def requested(self, count: int, now_s: float) -> None:
        """Note that so many messages are asked for."""
        if self.pull:
            self.pull.requested(count, now_s)

    # Opening a consumer

    def prepare_consumer(self, connection: int) -> PendingConsumer:
        """Close what is read from; return what `locate` and `opened` have to know."""
        self.pull = None
        self._passing.clear()
        source = self.position.source if self.position else ""
        frame = self.read if self.read and self.read.source == source else None
        return PendingConsumer(self._resumes, connection, StreamTail(self.seq, frame))

    def locate(
        self, pending: PendingConsumer, stream: StreamSnapshot, stored_at_ns: int | None
    ) -> ConsumerStart | None:
        """Return where to open the consumer; None: it is outdated, or reading was resumed from elsewhere meanwhile.

        `stream` is how it is now, `stored_at_ns` when it stored the message that has the number of the tail's frame.
        """
        if pending.resumes != self._resumes:
            return None
        known, self.stream = self.stream, stream
        is_another = known is not None and stream.source != known.source
        self.outdated = is_another or not pending.tail.is_held(stream, stored_at_ns)
        if self.outdated:
            return None
        forgotten = max(0, stream.first_seq - 1 - self.seq)
        self._advance(self.seq + forgotten)
        return ConsumerStart(self.seq, forgotten)

    def opened(self, pending: PendingConsumer, now_s: float) -> bool:
        """Read from the consumer that was opened; return False if reading was resumed from elsewhere meanwhile."""
        if pending.resumes != self._resumes:
            return False
        self.pull = PullRequest(self._pacing, pending.connection, now_s)
        return True

    def failed(self, now_s: float) -> None:
        """Pause, because no consumer could be opened."""
        self._pause_until_s = now_s + self._pacing.pause_s

    # What comes

    def receive(self, message: MessageMetadata, connection: int, now_s: float) -> ReceiveDecision:
        """Decide about a message of the consumer that is read from. What is to be delivered counts as read."""
        pull = self.pull
        if pull is None or pull.doubt or pull.connection != connection:
            return IGNORED
        if not pull.receive(message.consumer_seq, now_s):
            return IGNORED
        if message.stream_seq <= self._taken_seq:
            pull.give_up("a gap")
            return IGNORED
        self._checked_s = now_s
        self._passing.clear()
        forgotten = self._jump(max(0, message.stream_seq - self.seq - 1))
        self._advance(message.stream_seq)
        self.unread = message.pending
        self._note(message.stream_seq, message.stored_at_ns)
        return ReceiveDecision(deliver=True, forgotten=forgotten)

    def _note(self, seq: int, stored_at_ns: int) -> None:
        source = self.position.source if self.position else ""
        # While frames are read again, the stream may lose some after them that were read, too.
        if self.read is None or self.read.source != source or self.read.seq < seq:
            self.read = LastFrame(source, seq, stored_at_ns)

    def _jump(self, count: int) -> int:
        """Return how many of the numbers that the stream jumped over are lost, as far as is known now.

        In a stream of our own that is all. In a shared one nobody knows before it is compared.
        """
        if self.stream and not self.stream.shared:
            return count
        if count:
            self.gaps.after_seq = self.gaps.after_seq if self.gaps.count else self.seq
            self.gaps.count += count
        return 0

    def hear(self, headers: Mapping[str, str], now_s: float) -> None:
        """Take the server's status reply to a request."""
        if self.pull:
            self.pull.hear(headers, now_s)

    # What the server answers

    def checked(self, delivered: int | None, waiting: int | None = None, end: StreamEndpoint | None = None) -> bool:
        """Compare with how many messages the server has sent: a cut connection swallows the last ones without a trace.

        None: it does not know. `waiting` is how many it has still to send, `end` where the stream ended before it was
        asked, if others read of the stream what is not ours. Return whether messages of theirs were passed.
        """
        if self.pull and not self.pull.has_all(delivered):
            self.pull.give_up("messages that never came")
        if self.pull is None or self.pull.doubt or self.position is None:
            return False
        passed = self._passing.check(waiting, end)
        if passed is None or passed.seq <= self.seq:
            return False
        self.position = Position(self.position.source, passed.seq)
        self._note(*passed)
        return True

    def compare_end(self, read_seq: int, end_seq: int) -> bool:
        """Compare the stream's last message with what was read before it was asked for; return whether nothing comes of it."""
        if self.pull is None:
            return False
        is_shared = self.stream is None or self.stream.shared
        state = self._end.compare(read_seq, end_seq, may_be_still=is_shared or not self.pull.is_open)
        if state in USELESS:
            self.pull.give_up(USELESS[state])
        return state == "stuck"

    def has_all(self, delivered: int | None) -> bool:
        """Whether as many messages have come from the consumer as the server has sent; None: it does not know."""
        return self.pull is not None and self.pull.has_all(delivered)

    def doubt(self, why: str) -> None:
        """Doubt the consumer, because the server can't tell about it."""
        if self.pull:
            self.pull.give_up(f"the server can't tell about the consumer: {why}")

    def count_forgotten(self, first_seq: int) -> int:
        """Return how many of the numbers that were jumped over the stream has forgotten, at most.

        `first_seq` is its first message now. If others use the stream too, nobody can tell theirs from ours any more.
        """
        return self.gaps.forgotten(first_seq)

    def left(self, end_seq: int) -> int:
        """Return how many messages up to a number are not read; of a stream with wider subjects, at most."""
        return max(0, end_seq - self.seq)
