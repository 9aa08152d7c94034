"""Frames from a JetStream stream. The stream is the log, the ledger a checkpoint of it: no acks, no redelivery.

A pull consumer without acknowledgements is opened after a position and read in order. Whenever something may be
missing - a jump in the consumer's sequence, a new connection, silence, a refusal, more delivered than came - it is
thrown away, and another one is opened after the last frame that came. What is asked for is bounded, and nothing
is asked for while ingest holds too much.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

import structlog
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js.errors import APIError

from ingest.sources import resume as origin
from ingest.sources import stream_setup
from ingest.sources.base import Deliver
from ingest.sources.consumer import HEARTBEAT_S, Consumer
from tasks.clients.nats_client import NatsClient
from tasks.errors import SettingsError
from tasks.events import Position
from tasks.settings import Settings
from tasks.telemetry.log_throttle import LogThrottle

SILENCE_S = 3.5 * HEARTBEAT_S
#: Where the last attempt has failed, the next one is so much later.
PAUSE_S = 1.0
#: How long no frame may come before the server is asked how many it has sent.
CHECK_S = 2.0
log = structlog.get_logger()


class Connected(Protocol):
    """Whoever keeps the connection to NATS."""

    client: NatsClient


class StreamSource:
    """Reads a stream in order, each message once, and from the same place again when told to."""

    keeps = True

    def __init__(
        self, nats: Connected, settings: Settings, has_room: Callable[[], bool], lost: Callable[[int], None]
    ) -> None:
        """`has_room` says whether more frames may come; `lost` is told how many the stream no longer had.

        Of a stream with wider subjects than ours, `lost` is told how many messages at most: those of others, too.
        """
        self._nats, self._settings, self._has_room, self._lost = nats, settings, has_room, lost
        self._stream: origin.Stream | None = None
        self._deliver: Deliver | None = None
        self._consumer: Consumer | None = None
        #: One that is not listened to any more, and still has to be taken off the server.
        self._retired: Consumer | None = None
        self._mending = asyncio.Lock()
        #: How often it was told where to read.
        self._resumed = 0
        #: Stream sequence of the last frame that was delivered; None until it is known where to read.
        self._last_seq: int | None = None
        #: The source that these sequences belong to.
        self._source = ""
        #: The last frame that was delivered, also if it is told to read from elsewhere since.
        self.read: origin.LastFrame | None = None
        #: When a frame last came, or the server was asked what it has sent.
        self._checked_s = 0.0
        #: Not before this moment is another consumer opened.
        self._pause_until_s = 0.0
        self._closing = False
        self._throttle, self._forgotten_throttle = LogThrottle(), LogThrottle()
        #: Messages of the stream that were not read when the last one was sent.
        self.unread = 0
        #: How many frames that the stream held at the stop are not read; None: nobody knows.
        self.left: int | None = 0
        #: How many numbers of a stream that others use too were jumped over since it was last asked what it holds,
        #: after which one, and when that was.
        self._skipped, self._skipped_after, self._compared_s = 0, 0, 0.0
        #: Whether the stream was created anew, or lost frames that were read: a new epoch has to begin.
        self.outdated = False

    # Where to read

    async def prepare(self) -> None:
        """Create or check the stream. Raises SettingsError, and what NATS raises."""
        self._stream = await stream_setup.prepare(self._nats.client, self._settings)

    async def begin(self, stored: origin.StoredOffsets, mine: Position | None) -> Position:
        """Give the position after which a new epoch begins. Raises what NATS raises."""
        if self._stream is None:
            raise RuntimeError("the stream is not prepared")
        frontiers = [*stored.frontiers, mine] if mine else stored.frontiers
        stood = [] if self._last_seq is None else [Position(self._source, self._last_seq)]
        kept_seq = None
        # While it is read it is looked at, and will be again on the next connection.
        if self._last_seq is None or self.outdated:
            known = [*frontiers, *stored.reached, *stood]
            kept_seq = await stream_setup.kept(self._nats.client, self._stream, known, self.read or stored.read)
        return origin.begin(self._stream, frontiers, self._settings.ingest_start, kept_seq)

    def resume(self, position: Position) -> None:
        """Read on after this position; what comes from before this call is ignored."""
        self._source, self._last_seq = position.source, position.seq
        self._resumed += 1
        self._skipped = 0
        self._retired, self._consumer, self.outdated = self._consumer or self._retired, None, False

    @property
    def pending(self) -> int:
        """How many frames have arrived and are not delivered yet."""
        return self._consumer.pending if self._consumer else 0

    # Reading

    async def open(self, deliver: Deliver) -> None:
        """Start to deliver."""
        self._deliver = deliver
        await self.poll()

    async def poll(self) -> None:
        """Called several times a second: see to it that there is a consumer, that it is asked, and that it answers."""
        consumer, client = self._consumer, self._nats.client
        if self._deliver is None or self._last_seq is None or self.outdated or not client.is_connected:
            return
        now_s = time.monotonic()
        if consumer is None or consumer.cut_off or consumer.refused:
            if now_s > self._pause_until_s:
                await self._reopen((consumer.refused or "a new connection") if consumer else "a start")
        elif consumer.asked and now_s - consumer.heard_s > SILENCE_S:
            await self._reopen("silence")
        elif self._skipped and now_s - self._compared_s > CHECK_S:
            await self._compare()
        elif now_s - self._checked_s > CHECK_S:
            await self._check(consumer)
        elif not consumer.asked:
            await self._ask(consumer)

    async def _check(self, consumer: Consumer) -> None:
        """See whether everything came that was sent: a cut connection swallows the last messages without a trace."""
        self._checked_s = time.monotonic()
        try:
            about = await consumer.about()
        except APIError as error:
            await self._reopen(f"the server can't tell about the consumer: {error.description or error}")
            return
        if not consumer.has_all(about):
            await self._reopen("messages that never came")

    async def _compare(self) -> None:
        """See whether what was jumped over were messages of others, or such that the stream has forgotten."""
        self._compared_s = time.monotonic()
        info = await self._nats.client.jetstream().stream_info(self._settings.ingest_stream)
        self._forgotten(min(self._skipped, info.state.first_seq - 1 - self._skipped_after))
        self._skipped = 0

    def _skip(self, count: int) -> None:
        """Note a jump of the stream's numbers where the consumer's go on: in a stream of our own that is a loss."""
        if self._stream is None or self._stream.shared:
            self._skipped_after = self._skipped_after if self._skipped else self._last_seq or 0
            self._skipped += count
        else:
            self._forgotten(count)

    def _forgotten(self, count: int) -> None:
        """Count what was not read. If others use the stream too, nobody can tell theirs from ours any more."""
        if count > 0:
            self._lost(count)
            if self._forgotten_throttle.allow():
                log.error("the stream has forgotten frames that were not read", count=count)

    async def _reopen(self, why: str) -> None:
        """Throw the consumer away and open another one, unless that is being done already."""
        if self._mending.locked():
            return
        async with self._mending:
            old, self._consumer = self._consumer or self._retired, None
            if old:
                log.info("reading the stream anew", why=why, after=self._last_seq)
                await old.discard()
                self._retired = None
            try:
                await self._open_anew()
            except (Error, SettingsError) as error:
                self._pause_until_s = time.monotonic() + PAUSE_S
                if self._throttle.allow():
                    log.warning("the stream can't be read: trying for ever", why=str(error) or type(error).__name__)

    async def _open_anew(self) -> None:
        stream = await stream_setup.prepare(self._nats.client, self._settings)
        known = self._stream
        self.outdated = known is not None and (stream.source != known.source or not await self._holds_all(stream))
        self._stream = stream
        if self.outdated:
            return
        resumed = self._resumed
        consumer = await self._open_consumer(stream)
        if resumed == self._resumed:
            self._consumer = consumer
            await self._ask(consumer)
        else:  # told meanwhile to read from elsewhere
            self._retired = consumer

    async def _holds_all(self, stream: origin.Stream) -> bool:
        """Whether the stream holds what was read, but for what it has forgotten as planned."""
        if stream.last_seq < (self._last_seq or 0):
            return False
        if self.read is None or self.read.source != self._source:
            return True
        return await stream_setup.holds(self._nats.client, stream, self.read)

    async def _open_consumer(self, stream: origin.Stream) -> Consumer:
        after = self._last_seq or 0
        if stream.first_seq > after + 1:
            self._forgotten(stream.first_seq - after - 1)
            self._last_seq = after = stream.first_seq - 1
        consumer = Consumer(self._nats.client, stream.name)
        await consumer.open(stream_setup.wanted_subjects(self._settings), after, self._take)
        return consumer

    async def _ask(self, consumer: Consumer) -> None:
        """Ask for more, if there is room for it."""
        if not self._closing and self._has_room():
            await consumer.ask()

    async def _take(self, consumer: Consumer, message: Msg) -> None:
        if consumer is self._consumer:
            await self._on_message(consumer, message)

    async def _on_message(self, consumer: Consumer, message: Msg) -> None:
        if not message.reply:
            await self._on_status(consumer, message.headers or {})
            return
        consumer.heard_s = time.monotonic()
        about = message.metadata
        consumer.count += 1
        if about.sequence.consumer != consumer.count:
            await self._reopen("a gap")
            return
        consumer.asked -= 1
        self._checked_s = consumer.heard_s
        if (count := about.sequence.stream - (self._last_seq or 0) - 1) > 0:
            self._skip(count)
        self._last_seq = about.sequence.stream
        self.unread = about.num_pending
        if self._deliver is not None:
            stored_at_ns = int(about.timestamp.timestamp() * 1e6) * 1_000
            self._deliver(message.subject, message.data, message.headers, self._last_seq, stored_at_ns)
            self.read = origin.LastFrame(self._source, self._last_seq, stored_at_ns)
        if consumer.wants_more:
            await self._ask(consumer)

    async def _on_status(self, consumer: Consumer, headers: Mapping[str, str]) -> None:
        consumer.hear(headers)
        if consumer.refused:  # `look` opens another one, but not one after the other while they are all refused
            self._pause_until_s = consumer.opened_s + PAUSE_S
        elif headers.get("Status") != "100":
            await self._ask(consumer)

    # The end

    async def close(self) -> None:
        """Read what the stream holds at this moment, then stop; `left` tells what is not read when this is cancelled."""
        self.left, end_seq = None, None
        try:
            while self.left != 0:
                # NATS may be away: what the stream holds is read when it is back, if that is soon enough.
                with suppress(Error, SettingsError):
                    if end_seq is None:
                        end_seq = (await stream_setup.prepare(self._nats.client, self._settings)).last_seq
                    self.left = await self._left(end_seq)
                if self.left != 0:
                    await asyncio.sleep(0.02)
        finally:
            self._closing = True
        if self._consumer:
            await self._consumer.discard()

    async def _left(self, end_seq: int) -> int:
        """Return how many frames up to a number are not read; of a stream with wider subjects, at most."""
        left, consumer = max(0, end_seq - (self._last_seq or 0)), self._consumer
        if not left or consumer is None:
            return left
        # The last messages of the stream may be on subjects that are not read.
        about = await consumer.about()
        return 0 if not about.num_pending and consumer.has_all(about) else left
