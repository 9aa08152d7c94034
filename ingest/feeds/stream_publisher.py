"""Publishes frames into a stream, each once and in order, or reports that it could not.

An answer to each frame confirms that the stream has stored it. Neither the echo of a message to oneself nor the
server's PONG confirms it: a server that is killed takes with it what it has read and not stored. What is not confirmed
is sent again (`send_window`), under the same id, by which the stream drops what it has already.
"""

import asyncio
import secrets
from contextlib import suppress
from typing import NamedTuple

import structlog
from nats.errors import ConnectionReconnectingError

from ingest.feeds.publisher import FeedConnection, Publisher
from ingest.transport import stream_answers
from ingest.transport.send_window import Frame, SendWindow
from tasks.errors import NotStoredError, RealtimeStrategiesError, SettingsError
from tasks.event_loop import end
from tasks.events import Venue
from tasks.settings import Settings

log = structlog.get_logger()


class InFlightLimits(NamedTuple):
    """Limits of what may be in flight: frames and bytes."""

    frames: int
    size_bytes: int


#: While the stream takes frames: who publishes waits for it.
WAITING = InFlightLimits(2_048, 8 * 2**20)
#: While it takes none: beyond this, live frames are dropped.
OUTAGE_LIMITS = InFlightLimits(50_000, 32 * 2**20)


class PublishTimeouts(NamedTuple):
    """Timeouts and pauses of a stream publisher, in seconds."""

    #: Nothing was confirmed for so long: what is in flight is lost.
    confirmed_within_s: float = 5.0
    #: After a refusal, before the next attempt.
    pause_s: float = 0.5
    #: At the end, for what is not confirmed.
    settle_s: float = 10.0
    tick_s: float = 1.0


TIMEOUTS = PublishTimeouts()


class StreamPublisher(Publisher):
    """A publisher whose frames are in the stream once `settle` returns."""

    headers_bytes = 64

    def __init__(
        self,
        settings: Settings,
        timeouts: PublishTimeouts = TIMEOUTS,
        outage_limits: InFlightLimits = OUTAGE_LIMITS,
        venue: Venue | None = None,
    ) -> None:
        """Open nothing yet. While the stream takes none, live frames beyond `outage_limits` are dropped."""
        super().__init__(settings, venue)
        self._timeouts, self._outage_limits = timeouts, outage_limits
        self._window = SendWindow()
        #: Another one in each process: a second replay is no repeat.
        self._run = secrets.token_urlsafe(6).encode()
        self._inbox = ""
        self._session = 0
        #: What the answers of this session of the window come to, without the frame's number.
        self._answer = b""
        #: Whether what was sent last was confirmed, as far as is known.
        self._flows = True
        self._pausing = False
        self._why = ""
        #: Whether a frame was confirmed since the last look, and when nothing was in flight, or one was.
        self._heard, self._heard_s = False, 0.0
        self._failure: RealtimeStrategiesError | None = None
        self._sending: asyncio.Task[None] | None = None
        #: There may be something to send; something was confirmed or failed.
        self._wake, self._changed = asyncio.Event(), asyncio.Event()

    async def open(self) -> None:
        """Connect, for as long as it takes. Raises what `FeedConnection.open` raises."""
        await super().open()
        self._inbox = self.client.new_inbox()
        await self.client.subscribe_directly(f"{self._inbox}.>", self._on_answer)
        self._begin_session()
        self._sending = asyncio.create_task(self._send())
        self._sending.add_done_callback(self._on_end)

    def check(self) -> None:
        """Raise SettingsError: a subject is refused; NotStoredError: the stream can never take a frame."""
        super().check()
        if self._failure:
            raise self._failure

    # What feeds call

    async def publish(self, stream: str, raw: bytes) -> None:
        """Publish one live frame. While the stream takes none it is held, within bounds, or dropped and counted."""
        while self._flows and self._holds(WAITING):
            await self._until_changed()
        if not self._holds(self._outage_limits):
            self._add(stream, raw)
            return
        self.dropped += 1
        if self._throttle.allow():
            log.warning("the stream takes no frames: live frames are dropped", dropped=self.dropped)
        await asyncio.sleep(0)

    async def put(self, stream: str, raw: bytes) -> None:
        """Publish one frame under its stream's subject, in the order of the calls; wait while many are not confirmed.

        It returns before the frame is confirmed. Raises what `check` raises.
        """
        while self._holds(WAITING):
            await self._until_changed()
        self._add(stream, raw)

    async def settle(self) -> None:
        """Wait until the stream has all that it was given."""
        while self._window.held:
            await self._until_changed()

    async def close(self) -> None:
        """Wait a bounded time until the stream has all, and disconnect."""
        try:
            with suppress(TimeoutError, RealtimeStrategiesError):
                async with asyncio.timeout(self._timeouts.settle_s if self._sending else 0):
                    await self.settle()
        finally:
            if self._sending:
                await end(self._sending)
            # Nothing else is in flight, and a server that does not answer is waited for no longer.
            await self.client.close()

    @property
    def published(self) -> int:
        """Frames that the stream has."""
        return self._window.confirmed

    @property
    def unstored(self) -> str:
        """Why frames are not stored; empty: they are, as far as is known."""
        return self._why if self._window.held and not self._flows else ""

    def verify(self) -> None:
        """Raise NotStoredError for frames that the stream does not have, or not in their place."""
        said = []
        if left := self._window.held:
            said.append(f"{left} frames are not known to be stored ({self._why or 'no confirmation'})")
        if self.dropped:
            said.append(f"{self.dropped} live frames were dropped while the stream took none")
        if misplaced := self._window.misplaced:
            said.append(
                f"{misplaced} frames are not where they belong in the stream: "
                "NATS lost what it had confirmed, or its cluster changed the leader"
            )
        if said:
            raise NotStoredError("; ".join(said))

    def _holds(self, limits: InFlightLimits) -> bool:
        return self._window.held >= limits.frames or self._window.held_bytes >= limits.size_bytes

    def _add(self, stream: str, raw: bytes) -> None:
        if self._failure or self.refused:
            self.check()
        self._window.add(self._subject(stream, raw).encode(), raw)
        self._wake.set()

    async def _until_changed(self) -> None:
        self.check()
        self._changed.clear()
        await self._changed.wait()
        self.check()

    # To the server, and back

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self._pausing:
                self._pausing = False
                await asyncio.sleep(self._timeouts.pause_s)
            await FeedConnection.wait(self)
            if self.client.is_connected:
                self._heard |= not self._window.in_flight
                # What a connection loses is sent again on the next one.
                with suppress(ConnectionReconnectingError):
                    await self.client.write(self._messages(self._window.take_due()))
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeouts.tick_s):
                    await self._wake.wait()
            self._check_progress(loop.time())

    def _on_end(self, sending: "asyncio.Task[None]") -> None:
        # Nobody may wait for what is never sent.
        if not sending.cancelled() and (error := sending.exception()):
            self._failure = NotStoredError(f"frames can't be sent: {error or type(error).__name__}")
            self._changed.set()

    def _messages(self, frames: list[Frame]) -> bytes:
        """Return the bytes of NATS's protocol: nats-py needs three times as long for them."""
        run, answer = self._run, self._answer
        messages = []
        for number, subject, raw in frames:
            head = b"NATS/1.0\r\nNats-Msg-Id: %b-%d\r\n\r\n" % (run, number)
            sizes = len(head), len(head) + len(raw)
            messages.append(b"HPUB %b %b%d %d %d\r\n%b%b\r\n" % (subject, answer, number, *sizes, head, raw))
        return b"".join(messages)

    def _check_progress(self, now_s: float) -> None:
        """Find what nobody reports: frames that are never confirmed, answers that may not be read."""
        if self._heard:
            self._heard, self._heard_s = False, now_s
        elif self._window.in_flight and now_s - self._heard_s > self._timeouts.confirmed_within_s:
            self._fail(f"nothing was confirmed for {self._timeouts.confirmed_within_s:g} s")
        if any(subject.startswith(self._inbox.lower()) for subject in self.client.unreadable):
            self._failure = SettingsError("NATS does not let this login read _INBOX.feed.> (its rights)")
        # Who waits looks whether a subject was refused.
        self._changed.set()

    def _on_answer(self, subject: bytes, _: bytes, data: bytes, headers: bytes | None) -> None:
        number = subject[len(self._answer) :]
        # Those of a session that is over say nothing any more, and others may write to any subject.
        if not number.isdigit() or not subject.startswith(self._answer):
            return
        answer = stream_answers.read(data, headers)
        if answer is None:
            return
        if isinstance(answer, stream_answers.Refused):
            if answer.is_permanent:
                self._failure = NotStoredError(f"the stream refuses a frame: {answer.why}")
            self._refused(answer.why)
        elif self._window.confirm(int(number), answer.seq):
            self._flows, self._heard = True, True
            self._wake.set()
        else:
            self._fail("frames before others were not confirmed")
        self._changed.set()

    def _refused(self, why: str) -> None:
        self._pausing = True
        self._fail(why)

    def _fail(self, why: str) -> None:
        """Send again what is not confirmed."""
        self._begin_session()
        self._flows, self._why = False, why
        self._wake.set()
        if self._throttle.allow() and self.client.is_connected:
            log.warning("frames are not stored, retrying", why=why, held=self._window.held)

    def _begin_session(self) -> None:
        self._session += 1
        self._answer = b"%b.%d." % (self._inbox.encode(), self._session)
        self._window.go_back()

    async def _on_cut(self) -> None:
        await super()._on_cut()
        self._fail("the connection was lost")
        self._changed.set()
