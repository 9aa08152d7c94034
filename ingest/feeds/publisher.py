"""Shared by all feeds: the connection to NATS, and the subject of a frame."""

import asyncio
import re
from collections.abc import Set as AbstractSet

import structlog
from nats.errors import ConnectionReconnectingError, Error

from ingest.feeds import frame_partition
from ingest.sources.stream_setup import take
from ingest.transport.flush import confirm_published
from tasks.clients.nats_client import NatsClient
from tasks.errors import NotStoredError, ServerUnavailableError, SettingsError
from tasks.events import Venue
from tasks.frames import neutral
from tasks.frames.subjects import in_partition
from tasks.protocol.ingest_status import STATUS_SUBJECT
from tasks.settings import Settings, mask
from tasks.telemetry.log_throttle import LogThrottle

log = structlog.get_logger()

#: A frame's subject is this and the name of its stream; a venue-neutral frame has its own, which is given for a stream.
PREFIX = "binance."
#: How long the server may take to confirm what it was sent, in seconds.
_FLUSH_S = 5
#: Frames between two confirmations: a server that is slower than the feed slows it down here.
_FLUSH_EVERY = 256
#: What NATS takes for the end of a subject.
_UNFIT = re.compile(r"[\s\0]")
_MAX_SUBJECTS = 10_000


class FeedConnection:
    """A connection to NATS that always reconnects, and warns once each time the server goes down."""

    def __init__(self, settings: Settings, name: str = "feed") -> None:
        """Open nothing yet."""
        self._where, self._name = mask(settings.nats_url), name
        self._up = asyncio.Event()
        self._warned = False
        self._flushing: asyncio.Task[None] | None = None
        #: How often the connection was lost.
        self.cuts = 0
        self.client = NatsClient(settings)

    async def open(self) -> None:
        """Connect, for as long as it takes.

        Raises SettingsError: refused; ServerUnavailableError: the address is none.
        """
        try:
            await self.client.open(
                self._name,
                self._on_error,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                connect_timeout=5,
                ping_interval=10,
                drain_timeout=_FLUSH_S,
                # While the server is unavailable the client takes nothing: whether a frame waits or is dropped, we
                # decide.
                pending_size=0,
                disconnected_cb=self._on_cut,
                reconnected_cb=self._on_up,
            )
        except (Error, ValueError) as error:
            raise ServerUnavailableError(f"can't use NATS at {self._where}: {error}") from None
        await self._on_up()

    async def wait(self) -> None:
        """Wait until the server is there."""
        # The client knows of a cut before it tells us: without this, a caller who tries again would never pause.
        if not self.client.is_connected:
            self._up.clear()
        await self._up.wait()

    async def flush(self) -> bool:
        """Wait until the server has all that it was sent; return whether it does."""
        if not self.client.is_connected:
            return False
        # A task of its own, so that a cut can end it.
        self._flushing = asyncio.create_task(confirm_published(self.client, _FLUSH_S))
        await asyncio.wait({self._flushing})
        answered = not self._flushing.cancelled() and self._flushing.exception() is None
        return answered and self.client.is_connected

    async def close(self) -> None:
        """Take in and send what is in flight, and disconnect."""
        # Before the first connection there is nothing to lose, and nats-py knows no drain.
        if not self.client.is_closed and (self._up.is_set() or self.cuts):
            # Asked first, the server sends all that it has; a bare drain has been seen to lose the last messages.
            await self.flush()
            try:
                await self.client.drain()
            except Error as error:
                log.warning("the last frames may be lost", where=self._where, why=str(error) or type(error).__name__)
        await self.client.close()

    async def _on_error(self, error: Exception) -> None:
        if self.client.is_connected:
            log.warning("NATS reports an error", why=str(error) or type(error).__name__)
        else:
            self._warn_unavailable(str(error) or type(error).__name__)

    async def _on_cut(self) -> None:
        self.cuts += 1
        self._up.clear()
        # Written first on the next connection, it would come before what was lost before it.
        self.client.forget_unwritten()
        if self._flushing:
            self._flushing.cancel()
        if not self.client.is_closed:
            self._warn_unavailable("the connection was lost")

    async def _on_up(self) -> None:
        if self._warned:
            log.info("NATS is there", where=self._where)
        self._warned = False
        self._up.set()

    def _warn_unavailable(self, why: str) -> None:
        if not self._warned:
            log.warning("NATS is unavailable, retrying", where=self._where, why=why)
        self._warned = True


class Publisher(FeedConnection):
    """The interface through which feeds publish frames."""

    #: NATS counts the headers to the frame.
    headers_bytes = 0

    def __init__(self, settings: Settings, venue: Venue | None = None) -> None:
        """Open nothing yet; `venue` is that of all frames whose stream does not name it; None: each frame is read for it."""
        super().__init__(settings)
        self._throttle = LogThrottle()
        self._listened, self._unheard = settings.frame_subjects.patterns, False
        self._partitioner = frame_partition.partitioner(settings.nats_partitions, venue)
        self._subjects: dict[tuple[str, int | None], str] = {}
        #: Subjects that the server was found not to let us publish.
        self.refused: AbstractSet[str] = frozenset()
        #: Whether reports to ingest are published; their subject may be refused.
        self._reports = False
        #: Live frames dropped because the server was unavailable.
        self.dropped = 0

    @property
    def published(self) -> int:
        """Frames that the server has."""
        raise NotImplementedError

    @property
    def unstored(self) -> str:
        """Why frames are not stored; empty: they are, or no stream is to take them."""
        return ""

    def check(self) -> None:
        """Raise SettingsError when a subject is refused: what goes there reaches nobody, without any other error."""
        if refused := self.refused - ({STATUS_SUBJECT} if self._reports else set()):
            raise SettingsError(f"NATS does not let this login publish {', '.join(sorted(refused)[:5])} (its rights)")

    async def publish(self, stream: str, raw: bytes) -> None:
        """Publish a live frame, which waits for nobody: while the server is unavailable, it may be dropped and counted.

        Waits for a server that is slow. Raises NotStoredError and SettingsError: it can't be published.
        """
        raise NotImplementedError

    async def put(self, stream: str, raw: bytes) -> None:
        """Publish a frame that must not get lost. Waits while the server is unavailable.

        Raises what `publish` raises.
        """
        raise NotImplementedError

    async def settle(self) -> None:
        """Wait until the server has all that was `put`. Raises what `publish` raises."""
        raise NotImplementedError

    async def report(self, request: bytes) -> None:
        """Publish a report to ingest, if this login may."""
        self._reports = True
        if self.client.is_connected and STATUS_SUBJECT not in self.refused:
            # With an inbox to answer to, because ingest answers; nobody waits for it.
            await self.client.publish(STATUS_SUBJECT, request, reply=self.client.new_inbox())

    def verify(self) -> None:
        """Raise NotStoredError, when all is over, for what a stream was to keep and does not."""

    def _warn_unheard(self, subject: str) -> None:
        """Warn once: with the settings of this feed, ingest does not listen to a subject."""
        if not self._unheard:
            fits = f"{','.join(self._listened)},{neutral.SUBJECTS}>"
            log.warning(
                "with these settings ingest does not listen to this subject",
                subject=subject,
                do=f"NATS_SUBJECTS={fits}",
            )
        self._unheard = True

    def _subject(self, stream: str, raw: bytes) -> str:
        """Return a frame's subject. Raises NotStoredError: no server would take it."""
        key = stream, self._partitioner and self._partitioner(stream, raw)
        subject = self._subjects.get(key)
        if subject is None:
            is_neutral = stream.startswith(neutral.SUBJECTS)
            subject = stream if is_neutral else PREFIX + stream
            if is_neutral and not take(self._listened, subject):
                self._warn_unheard(subject)
            if key[1] is not None:
                subject = in_partition(subject, key[1])
            if _UNFIT.search(subject):
                raise NotStoredError(f"no NATS subject: {subject[:100]!r}")
            # A feed has few streams; a file may hold anything.
            if len(self._subjects) < _MAX_SUBJECTS:
                self._subjects[key] = subject
        if len(raw) + self.headers_bytes > self.client.max_payload:
            raise NotStoredError(
                f"a frame of {subject} has {len(raw)} bytes, and NATS takes {self.client.max_payload} at most, "
                "its headers counted (max_payload)"
            )
        return subject


class CorePublisher(Publisher):
    """Publishes frames on core NATS: the server has received them, and current subscribers get them."""

    def __init__(self, settings: Settings, venue: Venue | None = None) -> None:
        """Open nothing yet."""
        super().__init__(settings, venue)
        self._published = 0
        #: Was put, and the server may not have it.
        self._unconfirmed: list[tuple[str, bytes]] = []
        #: How often the connection was lost when the first of these was offered.
        self._offered_at = 0

    @property
    def published(self) -> int:
        """Frames given to the server."""
        return self._published

    async def wait(self) -> None:
        """Wait until the server is there. Raises SettingsError: a subject is refused."""
        self.check()
        await super().wait()

    async def offer(self, stream: str, raw: bytes) -> bool:
        """Publish one frame, unless the server is unavailable; return whether it went. Does not wait.

        Raises what `publish` raises.
        """
        self.check()
        subject = self._subject(stream, raw)
        if not self.client.is_connected:
            return False
        try:
            await self.client.publish(subject, raw)
        except ConnectionReconnectingError:
            return False
        self._published += 1
        return True

    async def publish(self, stream: str, raw: bytes) -> None:
        """Publish one frame, or drop it when the server is unavailable. Waits for a server that is slow."""
        if not await self.offer(stream, raw):
            self.dropped += 1
            if self._throttle.allow():
                log.warning("NATS is unavailable: live frames are dropped", dropped=self.dropped)
        elif self._published % _FLUSH_EVERY == 0:
            await self.flush()
        if self.dropped % _FLUSH_EVERY == 1:
            await asyncio.sleep(0)

    async def put(self, stream: str, raw: bytes) -> None:
        """Publish one frame; after a lost connection, again what may be lost, in order: ingest drops the repeats."""
        self._unconfirmed.append((stream, raw))
        if self._offered_at != self.cuts or not await self.offer(stream, raw):
            await self._offer_again()
        if len(self._unconfirmed) >= _FLUSH_EVERY:
            await self.settle()

    async def settle(self) -> None:
        """Wait until the server has all that was put."""
        while self._unconfirmed:
            if await self.flush() and self._offered_at == self.cuts:
                self._unconfirmed.clear()
            else:
                await self._offer_again()

    async def _offer_again(self) -> None:
        while True:
            await self.wait()
            self._offered_at = self.cuts
            for frame in self._unconfirmed:
                if not await self.offer(*frame):
                    break
            else:
                return
