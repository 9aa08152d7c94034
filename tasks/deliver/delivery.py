"""The loop of a delivery: read signals behind the position, send each, move the position on.

A signal is sent again until the receiver has it, and none behind it goes out before: so the order is that of the stream.
What is sent and not committed when the process ends is sent again by the next one, with the same id.
"""

import asyncio
import time
from contextlib import suppress
from typing import NamedTuple

import stamina
import structlog

from tasks.clients.redis_client import FAILED, reason
from tasks.deliver.answers import HeldUpError, RefusedError
from tasks.deliver.selection import Selection
from tasks.deliver.send_rate import SendRate
from tasks.deliver.signal_fields import SignalFields, read
from tasks.deliver.sinks import Sink
from tasks.deliver.status import DeliveryStatus
from tasks.errors import UNREADABLE
from tasks.ledger.deliveries import COUNTED, DeliveryStep, DeliveryStore, Entry, Unread
from tasks.ledger.delivery_position import DeliveryPosition
from tasks.ledger.lease import RENEW_S, STANDBY_S, NotLeadingError, SupersededError
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter

#: So many signals are held in memory.
CHUNK = 100
BLOCK_MS = 1_000
RETRY_S = 0.5
log = structlog.get_logger()


class Backoff(NamedTuple):
    """The pauses between attempts: they double, and a random part is added."""

    first_s: float = 0.1
    longest_s: float = 30.0
    jitter_s: float = 0.5


class Delivery:
    """Takes signals from the stream to a receiver."""

    def __init__(
        self,
        name: str,
        store: DeliveryStore,
        sink: Sink,
        selection: Selection,
        rate: SendRate,
        status: DeliveryStatus,
        backoff: Backoff = Backoff(),  # noqa: B008 it never changes
    ) -> None:
        self._name, self._store, self._sink, self._selection = name, store, sink, selection
        self._rate, self.status, self._backoff = rate, status, backoff
        #: Held from before a signal is sent until it is committed.
        self._sending = asyncio.Lock()
        self._stands_by = False
        #: Where it stands in the ledger; how far it got, which passed over so many signals behind that.
        self._stored = self._reached = DeliveryPosition((), ())
        self._filtered = 0

    async def run(self) -> None:
        """Deliver endlessly, whatever happens to Redis and the receiver. Raises what the sink raises beside that."""
        while True:
            try:
                await self._lead()
                await self._deliver_chunk()
            except (NotLeadingError, SupersededError):
                self.status.take_role(leads=False)
            except FAILED as error:
                if isinstance(error, BrokenPipeError):  # nobody reads standard output any more
                    raise
                self.status.failed("redis", reason(error))
                await asyncio.sleep(RETRY_S)

    async def renew(self) -> None:
        """Keep the lease, endlessly."""
        while True:
            self.status.beat()
            if self._store.lease.held:
                # What fails here is found and told by the loop.
                with suppress(*FAILED, SupersededError):
                    await self._store.lease.renew()
            await asyncio.sleep(RENEW_S)

    async def finish(self) -> None:
        """Return once no signal is being sent, and keep the next one from it."""
        await self._sending.acquire()

    async def _lead(self) -> None:
        while not self._store.lease.held:
            taken = await self._store.lease.take()
            self.status.works("redis")
            if taken:
                await self._store.note("")
                self._stands_by = False
                self.status.take_role(leads=True)
                log.info("delivering", delivery=self._name)
                return
            if not self._stands_by:
                self._stands_by = True
                log.info("standing by: another process delivers under this name", delivery=self._name)
            await asyncio.sleep(STANDBY_S)

    async def _deliver_chunk(self) -> None:
        unread = await self._store.read(CHUNK)
        if unread.unavailable:
            self.status.failed("redis", unread.unavailable)
        else:
            self.status.works("redis")
        self.status.note_waiting(unread.waiting, unread.entries[0].added_ms if unread.entries else 0)
        self._stored = self._reached = unread.position
        self._filtered = 0
        if unread.trimmed:
            await self._tell_trimmed(unread)
        for entry in unread.entries:
            await self._handle(entry)
        if self._filtered:
            await self._commit(DeliveryStep(self._reached))
        if not unread.entries:
            await self._store.wait(self._stored, BLOCK_MS)

    async def _tell_trimmed(self, unread: Unread) -> None:
        log.error(
            "signals were trimmed before they were delivered: raise SIGNALS_KEEP",
            delivery=self._name,
            signals=unread.trimmed,
        )
        await self._commit(DeliveryStep(unread.position, trimmed=unread.trimmed))

    async def _handle(self, entry: Entry) -> None:
        """Deliver an entry of the stream, or pass over it."""
        self.status.note_waiting(self.status.waiting, entry.added_ms)
        try:
            signal = read(entry.packed, entry.trace, entry.revision)
        except UNREADABLE as error:
            await self._refuse(entry, dead_letters.no_signal(entry.packed, error))
            return
        if self._selection.takes(signal):
            await self._deliver(entry, signal)
        else:
            # Committed with the next one that is sent, or at the end of what was read.
            self._filtered += 1
            self._reached = self._reached.after(entry.name)

    async def _deliver(self, entry: Entry, signal: SignalFields) -> None:
        pauses = self._backoff
        async for attempt in stamina.retry_context(
            on=_pause,
            attempts=None,
            timeout=None,
            wait_initial=pauses.first_s,
            wait_max=pauses.longest_s,
            wait_jitter=pauses.jitter_s,
        ):
            with attempt:
                await asyncio.sleep(self._rate.wait_s(time.monotonic()))
                async with self._sending:
                    await self._attempt(entry, signal)

    async def _attempt(self, entry: Entry, signal: SignalFields) -> None:
        if not self._store.lease.held:
            raise NotLeadingError
        try:
            await self._sink.send(signal, entry.packed)
        except HeldUpError as error:
            self.status.counts["held_up"] += 1
            if self.status.failed("receiver", str(error)):
                await self._store.note(str(error))
            self.status.note_waiting(await self._store.count_after(self._stored), entry.added_ms)
            raise
        except RefusedError as error:
            await self._refuse(entry, dead_letters.undeliverable(entry.packed, self._name, str(error)))
            return
        await self._commit(DeliveryStep(self._reached.after(entry.name), sent=1))
        if self.status.works("receiver"):
            await self._store.note("")

    async def _refuse(self, entry: Entry, letter: DeadLetter) -> None:
        log.error("a signal can't be delivered: it is a dead letter", delivery=self._name, why=letter.detail)
        await self._commit(DeliveryStep(self._reached.after(entry.name), refused=1, letter=letter))

    async def _commit(self, step: DeliveryStep) -> None:
        step = step._replace(filtered=self._filtered)
        await self._store.commit(self._stored, step)
        passed = sum(step.position.passed) - sum(self._stored.passed)
        self.status.note_waiting(max(0, self.status.waiting - passed), self.status.oldest_ms)
        self._stored = self._reached = step.position
        self._filtered = 0
        for name in COUNTED:
            self.status.counts[name] += getattr(step, name)


def _pause(error: Exception) -> bool | float:
    """Called by stamina: whether to try again, or after how many seconds."""
    if not isinstance(error, HeldUpError):
        return False
    return True if error.wait_s is None else error.wait_s
