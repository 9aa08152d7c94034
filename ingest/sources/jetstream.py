"""Frames from a JetStream stream. The stream is the log, the ledger a checkpoint of it: no acks, no redelivery.

A pull consumer without acknowledgements is opened after a position and read in order. What is taken of what it sends,
and when another one is opened, `StreamCursor` decides; this asks the server, and delivers.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog
from nats.errors import Error
from nats.js.api import ConsumerInfo
from nats.js.errors import APIError

from ingest.sources import resume, stream_setup
from ingest.sources.base import FrameCallback
from ingest.sources.consumer import StreamConsumer
from ingest.sources.cursor import CursorStep, PendingConsumer, StreamCursor
from ingest.sources.pull import Pacing
from ingest.sources.resume import LastFrame, StoredOffsets, StreamSnapshot
from tasks.clients.nats_client import NatsClient
from tasks.clients.nats_message import RawMessage, read_headers, read_metadata
from tasks.errors import SettingsError
from tasks.events import Position
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

DEFAULT_PACING = Pacing()
log = structlog.get_logger()


class ConnectionHolder(Protocol):
    """The owner of the connection to NATS."""

    client: NatsClient


class StreamSource:
    """Reads a stream in order, each message once, and again from the position given to `resume`."""

    keeps = True

    def __init__(
        self,
        nats: ConnectionHolder,
        settings: Settings,
        has_room: Callable[[], bool],
        lost: Callable[[int], None],
        pacing: Pacing = DEFAULT_PACING,
        make_consumer: Callable[[NatsClient, str], StreamConsumer] = StreamConsumer,
    ) -> None:
        """`has_room` returns whether more frames may come; `lost` is called with how many the stream no longer had.

        Of a stream with wider subjects than ours, `lost` is called with an upper bound, which includes the messages of
        others.
        """
        self._nats, self._settings, self._has_room, self._lost = nats, settings, has_room, lost
        self._cursor, self._make_consumer = StreamCursor(pacing), make_consumer
        self._deliver: FrameCallback | None = None
        #: The last one that was opened, which has to be taken off the server when it is not read from any more.
        self._consumer: StreamConsumer | None = None
        self._closing = False
        #: A request that is being sent.
        self._requests: set[asyncio.Future[None]] = set()
        #: What is read, and who is told of the number up to which there is nothing more of it.
        self._subjects: Sequence[str] = settings.frame_subjects.all
        self._passed: Callable[[int], None] | None = None
        #: How many frames that the stream held at the stop are not read; None: nobody knows.
        self.left: int | None = 0
        self._throttle, self._forgotten_throttle = LogThrottle(), LogThrottle()

    def assign(self, subjects: Sequence[str], passed: Callable[[int], None]) -> None:
        """Read only these subjects, those of a shard's partitions; others read the rest.

        `passed` is called with a number up to which the stream has nothing of ours any more.
        """
        self._subjects, self._passed = subjects, passed

    @property
    def read(self) -> LastFrame | None:
        """The furthest frame that was delivered, also after `resume` from further back."""
        return self._cursor.read

    @property
    def unread(self) -> int:
        """How many messages of the stream were not read when the last one was sent."""
        return self._cursor.unread

    @property
    def read_seq(self) -> int:
        """The number of the last frame that was taken; 0: none."""
        return self._cursor.seq

    def compare_end(self, read_seq: int, end_seq: int) -> bool:
        """Compare the stream's last message with what was read before it was asked for; return whether nothing comes of it."""
        return self._cursor.compare_end(read_seq, end_seq)

    @property
    def outdated(self) -> bool:
        """Whether the stream was created again, or lost frames that were read: a new epoch has to begin."""
        return self._cursor.outdated

    @property
    def _source(self) -> str:
        return self._cursor.position.source if self._cursor.position else ""

    @property
    def _connection(self) -> int:
        return self._nats.client.stats["reconnects"]

    # Where to read

    async def prepare(self) -> None:
        """Create or check the stream. Raises SettingsError, and what NATS raises."""
        self._cursor.note_stream(await self._find_stream())

    async def _find_stream(self) -> StreamSnapshot:
        return await stream_setup.prepare(self._nats.client, self._settings, self._subjects)

    async def begin(self, stored: StoredOffsets, mine: Position | None) -> Position:
        """Return the position after which a new epoch begins.

        Raises what NATS raises, and at a start SettingsError: the stream holds frames that no shard would read.
        """
        stream = self._cursor.stream
        if stream is None:
            raise RuntimeError("the stream is not prepared")
        frontiers = [*stored.frontiers, mine] if mine else stored.frontiers
        self._cursor.restore_last_read(stored.read)
        tail = self._cursor.tail_to_verify([*frontiers, *stored.reached])
        kept_seq = await stream_setup.kept(self._nats.client, stream, tail) if tail else None
        for older in resume.tails_before_losses(stream, stored, mine):
            older_seq = await stream_setup.kept(self._nats.client, stream, older)
            # Even if its frame is held: what was read after that may be lost.
            common_seq = (older.frame or older).seq if older_seq is None else older_seq
            frontiers = [*frontiers, Position(stream.source, common_seq)]
        chosen = self._settings.ingest_start
        start = resume.begin(stream, frontiers, chosen, kept_seq, has_unstarted=stored.has_unstarted)
        if self._passed and self._cursor.position is None:
            await stream_setup.refuse_strays(self._nats.client, self._settings, start.seq)
        return start

    def resume(self, position: Position) -> None:
        """Read on after this position; what comes from before this call is ignored."""
        self._cursor.resume(position)

    # Reading

    async def open(self, deliver: FrameCallback) -> None:
        """Start to deliver."""
        self._deliver = deliver
        await self.poll()

    async def poll(self) -> None:
        """Called several times a second, one call after the other: do what is to be done next.

        Raises what NATS raises.
        """
        if self._deliver is None or not self._nats.client.is_connected:
            return
        match self._cursor.next_step(time.monotonic(), self._connection, has_room=self._may_request):
            case CursorStep("reopen", why):
                await self._reopen(why)
            case CursorStep("compare"):
                info = await self._nats.client.jetstream().stream_info(self._settings.ingest_stream)
                self._forgotten(self._cursor.count_forgotten(info.state.first_seq))
            case CursorStep("check") if self._consumer:
                await self._check(self._consumer)
            case CursorStep("request"):
                await self._request()

    async def _check(self, consumer: StreamConsumer) -> None:
        try:
            end = await stream_setup.end_of(self._nats.client, self._settings.ingest_stream) if self._passed else None
            info = await consumer.about()
        except APIError as error:
            self._cursor.doubt(error.description or str(error))
        else:
            if self._cursor.checked(_delivered(info), info.num_pending, end) and self._passed:
                self._passed(self._cursor.seq)

    def _forgotten(self, count: int) -> None:
        if count:
            self._lost(count)
            if self._forgotten_throttle.allow():
                log.error("the stream has forgotten frames that were not read", count=count)

    async def _reopen(self, why: str) -> None:
        """Discard the consumer and open another one; without success, that is tried again later."""
        pending = self._cursor.prepare_consumer(self._connection)
        old, self._consumer = self._consumer, None
        if old:
            log.info("reading the stream again", why=why, after=pending.tail.seq)
            await old.discard()
        try:
            await self._open_consumer(pending)
        except (Error, SettingsError) as error:
            self._cursor.failed(time.monotonic())
            if self._throttle.allow():
                log.warning("the stream can't be read, retrying", why=str(error) or type(error).__name__)

    async def _open_consumer(self, pending: PendingConsumer) -> None:
        stream = await self._find_stream()
        stored_at_ns = await stream_setup.stored_at_ns(self._nats.client, stream, pending.tail)
        start = self._cursor.locate(pending, stream, stored_at_ns)
        if start is None:
            return
        self._forgotten(start.forgotten)
        consumer = self._make_consumer(self._nats.client, stream.name)
        await consumer.open(self._subjects, start.after_seq, self._take)
        self._consumer = consumer
        if self._cursor.opened(pending, time.monotonic()):
            await self._request()

    @property
    def _may_request(self) -> bool:
        return not self._closing and self._has_room()

    async def _request(self) -> None:
        """Request more messages, if that is due and there is room for them."""
        consumer, count = self._consumer, self._cursor.missing
        if consumer and count and self._may_request:
            self._cursor.requested(count, time.monotonic())
            await consumer.request(count)

    def _take(self, consumer: StreamConsumer, message: RawMessage) -> None:
        if consumer is not self._consumer:
            return
        if message.reply:
            self._on_frame(message)
        else:
            self._cursor.hear(read_headers(message.headers or b""), time.monotonic())
        if self._cursor.missing and not self._requests and self._may_request:
            self._request_soon()

    def _on_frame(self, message: RawMessage) -> None:
        """Take a message of the stream. Raises ValueError: it is somebody else's, who has written to the inbox."""
        about = read_metadata(message.reply)
        receipt = self._cursor.receive(about, self._connection, time.monotonic())
        self._forgotten(receipt.forgotten)
        if receipt.deliver and self._deliver is not None:
            subject, headers = message.subject.decode(errors="replace"), message.headers
            self._deliver(
                subject, message.data, read_headers(headers) if headers else None, about.stream_seq, about.stored_at_ns
            )

    def _request_soon(self) -> None:
        """Request more without holding up what is being read. If it can't be sent, the silence tells."""

        async def request() -> None:
            with suppress(Error, OSError):
                await self._request()

        task = asyncio.ensure_future(request())
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    # The end

    async def close(self) -> None:
        """Read what the stream holds at this moment, then stop; if cancelled, `left` has the number of unread frames."""
        self.left, stream_end = None, None
        try:
            while self.left != 0:
                # NATS may be unavailable: what the stream holds is read when it is back, if that is soon enough.
                with suppress(Error):
                    if stream_end is None or stream_end.source != self._source:
                        stream_end = await self._stream_end()
                    self.left = await self._left(stream_end.seq) if stream_end else None
                if self.left != 0:
                    await asyncio.sleep(0.02)
        finally:
            self._closing = True
        if self._consumer:
            await self._consumer.discard()

    async def _stream_end(self) -> Position | None:
        """Return the stream's last message; None: its numbers are not those that were read, and an epoch has to begin."""
        source, read_seq = self._source, self._cursor.seq
        # Whether it takes our subjects is no matter now.
        about = await self._nats.client.jetstream().stream_info(self._settings.ingest_stream)
        is_another = self._cursor.outdated or about.state.last_seq < read_seq
        return None if is_another else Position(source, about.state.last_seq)

    async def _left(self, end_seq: int) -> int:
        """Return how many frames up to a number are not read; of a stream with wider subjects, at most."""
        left, consumer = self._cursor.left(end_seq), self._consumer
        if not left or consumer is None:
            return left
        # The last messages of the stream may be on subjects that are not read.
        about = await consumer.about()
        return 0 if not about.num_pending and self._cursor.has_all(_delivered(about)) else left


def _delivered(info: ConsumerInfo) -> int | None:
    """Return how many messages the server has sent from a consumer; None: it does not know."""
    return info.delivered.consumer_seq if info.delivered else None
