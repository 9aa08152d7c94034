"""Where each delivery of signals stands: a hash by its name, written by the one process that holds its lease.

Its scripts check the lease at each write. So a process that wakes up late changes nothing, and sends at most the signal
that it was sending, with the id that it has anyway.

Where each shard has a ledger, the first has the hash and the lease, and the position is one in each ledger.
"""

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from heapq import merge
from itertools import islice
from typing import Any, Literal, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tasks.clients.redis_client import FAILED, async_connection_options, connect_async, reason
from tasks.ledger.confirmation import Confirmation
from tasks.ledger.delivery_position import UNKNOWN, DeliveryPosition
from tasks.ledger.entry_id import NONE, EntryId, name_of
from tasks.ledger.keys import LedgerKeys
from tasks.ledger.lease import Lease, NotLeadingError
from tasks.ledger.lua import script
from tasks.protocol import dead_letters
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings

#: Where a delivery of a new name begins.
Start = Literal["now", "start"]
#: What becomes of signals, each a counter.
COUNTED = ("sent", "filtered", "refused", "trimmed")
#: Behind the key of a delivery, that of its lease.
LEASE = ":lease"
#: How long several ledgers are left alone that had nothing; then all are read again.
TURN_S = 0.1
#: How long another ledger than the first is left out after it failed: one that hangs costs seconds each time.
REST_S = 5.0


class Entry(NamedTuple):
    """An entry of the signal stream."""

    name: str
    packed: bytes
    #: The trace that it belongs to, and the revision of its strategy; empty: none is known.
    trace: str = ""
    revision: str = ""

    @property
    def added_ms(self) -> int:
        """When it was added, unix milliseconds, by Redis's clock."""
        return int(self.name.partition("-")[0])


class Unread(NamedTuple):
    """What a delivery read behind its position."""

    #: With the signals that were trimmed before it read them.
    position: DeliveryPosition
    trimmed: int
    #: How many wait behind its position.
    waiting: int
    entries: Sequence[Entry]
    #: Why other ledgers than the first are left out; empty: none is.
    unavailable: str = ""


class DeliveryStep(NamedTuple):
    """How far a delivery got."""

    position: DeliveryPosition
    sent: int = 0
    filtered: int = 0
    refused: int = 0
    trimmed: int = 0
    letter: DeadLetter | None = None


class _Part(NamedTuple):
    """What a ledger answers about the signals behind a position."""

    position: str
    passed: int
    #: How many signals were ever added, and how many the stream holds.
    added: int
    length: int
    entries: Sequence[Entry]

    @classmethod
    def of(cls, answer: Sequence[Any], ledger: int = 0) -> "_Part":
        position, passed, added, length, found = answer
        entries = [_entry(name, ledger, dict(zip(it, it, strict=True))) for name, it in _pairs(found)]
        return cls(position.decode(), passed, added, length, entries)

    @classmethod
    def left_out(cls, position: str, passed: int) -> "_Part":
        return cls(position, passed, passed, 0, [])

    @property
    def trimmed(self) -> int:
        return max(0, self.added - self.length - self.passed)


def _unread(parts: Sequence[_Part], count: int, unavailable: str = "") -> Unread:
    passed = tuple(part.passed + part.trimmed for part in parts)
    entries = merge(*(part.entries for part in parts), key=lambda entry: EntryId.parse(entry.name))
    return Unread(
        DeliveryPosition(tuple(part.position for part in parts), passed),
        sum(part.trimmed for part in parts),
        sum(part.added for part in parts) - sum(passed),
        list(islice(entries, count)),
        unavailable,
    )


class DeliveryStore:
    """The position of one delivery, for the process that holds its lease: in the first ledger, whichever has signals."""

    def __init__(
        self, settings: Settings, name: str, kind: str, start: Start, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds."""
        options = async_connection_options()
        self._clients = [connect_async(settings, url, **options) for url in settings.ledgers]
        self.client = self._clients[0]
        keys = LedgerKeys(settings.namespace)
        self._signals, self._key, self._letters = keys.signals, keys.delivery(name), keys.deadletters
        self._kind, self._start, self._holder = kind, start, secrets.token_hex(8)
        self._clock = clock
        #: By ledger: until when it is left out, and why.
        self._left_out: dict[int, tuple[float, str]] = {}
        self.lease = Lease(self.client, f"{self._key}{LEASE}", self._holder)
        self._read = self.client.register_script(script("delivery_read"))
        self._read_parts = [client.register_script(script("delivery_signals")) for client in self._clients]
        self._commit = self.client.register_script(script("delivery_commit"))
        self._confirmations = [Confirmation(client, settings.ledger_durability, self._key) for client in self._clients]

    async def read(self, count: int) -> Unread:
        """Return up to `count` signals behind the position. Raises NotLeadingError, and what Redis raises.

        They are those that nothing takes back any more, as LEDGER_DURABILITY asks for.
        """
        if len(self._clients) > 1:
            return await self._read_several(count)
        arguments = [self._holder, count, self._start, self._signals]
        answer = await self._confirmations[0].run(self._read, [self._key, self.lease.key], arguments)
        if not answer:
            raise NotLeadingError
        return _unread([_Part.of(answer)], count)

    async def _read_several(self, count: int) -> Unread:
        before, stored = await self._stored_position()
        start: Start = "start" if any(stored.ids) else self._start
        # Where it begins in a ledger that does not answer: what is committed there from now on is not to be missed.
        begin = f"{time.time_ns() // 10**6}-0" if start == "now" else NONE
        standing = enumerate(zip(*stored, strict=True))
        parts = [
            await self._part(ledger, *at, count, start) or _Part.left_out(*(at if at[0] else (begin, UNKNOWN)))
            for ledger, at in standing
        ]
        unavailable = "; ".join(why for _, why in self._left_out.values())
        unread = _unread(parts, count, unavailable)
        begun = unread.position._replace(passed=tuple(part.passed for part in parts))
        if begun.stored_ids != before or begun.passed.count(UNKNOWN) < stored.passed.count(UNKNOWN):
            await self._write(before, DeliveryStep(begun))
        return unread

    async def _part(self, ledger: int, position: str, passed: int, count: int, start: Start) -> _Part | None:
        """Return what a ledger answers; None: another than the first is left out."""
        if ledger and self._rests(ledger):
            return None
        arguments = [self._signals, position, passed, count, start]
        try:
            answer = await self._confirmations[ledger].run(self._read_parts[ledger], [], arguments)
        except FAILED as error:
            if not ledger:
                raise
            self._leave_out(ledger, error)
            return None
        self._left_out.pop(ledger, None)
        return _Part.of(answer, ledger)

    def _rests(self, ledger: int) -> bool:
        until, _ = self._left_out.get(ledger, (-math.inf, ""))
        return self._clock() < until

    def _leave_out(self, ledger: int, error: Exception) -> None:
        self._left_out[ledger] = self._clock() + REST_S, f"the ledger of shard {ledger}: {reason(error)}"

    async def _stored_position(self) -> tuple[str, DeliveryPosition]:
        """Return the position as it is stored, and what it says of these ledgers. Raises NotLeadingError."""
        async with self.client.pipeline(transaction=False) as pipe:
            pipe.get(self.lease.key)
            pipe.hmget(self._key, "position", "passed")
            holder, (position, passed) = await pipe.execute()
        if holder != self._holder.encode():
            raise NotLeadingError
        before = (position or b"").decode(errors="replace")
        return before, DeliveryPosition.read(position, passed, len(self._clients))

    async def count_after(self, position: DeliveryPosition) -> int:
        """Return how many signals there are behind a position, in the ledgers that answer. Raises what Redis raises."""
        count = 0
        for ledger, passed in enumerate(position.passed):
            if passed == UNKNOWN or self._rests(ledger):
                continue
            try:
                count += max(0, await self._added(self._clients[ledger]) - passed)
            except FAILED as error:
                if not ledger:
                    raise
                self._leave_out(ledger, error)
        return count

    async def _added(self, client: Redis) -> int:
        """Return how many signals were ever added to a ledger. Raises what Redis raises."""
        try:
            about: Any = await client.xinfo_stream(self._signals)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return 0
        return int(about["entries-added"])

    async def wait(self, position: DeliveryPosition, block_ms: int) -> None:
        """Return once there is a signal behind a position, or after some time; of several ledgers after a short one."""
        if len(self._clients) > 1:
            await asyncio.sleep(TURN_S)
            return
        await self.client.xread({self._signals: position.ids[0]}, count=1, block=block_ms)

    async def commit(self, before: DeliveryPosition, step: DeliveryStep) -> None:
        """Write a step that goes on from the position `before`. Raises NotLeadingError, and what Redis raises."""
        await self._write(before.stored_ids, step)

    async def _write(self, before: str, step: DeliveryStep) -> None:
        letter = dead_letters.pack(step.letter) if step.letter else b""
        counts = {name: getattr(step, name) for name in COUNTED}
        now = step.position.stored_ids, step.position.stored_passed
        arguments: list[Any] = [self._holder, before, *now, self._kind, dead_letters.KEEP, letter]
        arguments += [part for item in counts.items() if item[1] for part in item]
        if not await self._commit(keys=[self._key, self.lease.key, self._letters], args=arguments):
            raise NotLeadingError

    async def note(self, trouble: str) -> None:
        """Write down why nothing is delivered, for `doctor`; nothing: it is."""
        answer: Any = self.client.hset(self._key, "trouble", trouble)
        await answer

    async def close(self) -> None:
        """Let go of the lease and of the connections."""
        with suppress(*FAILED):
            await self.lease.release()
        for client in self._clients:
            await client.aclose()


def _entry(name: bytes, ledger: int, fields: dict[bytes, bytes]) -> Entry:
    trace, revision = (fields.get(field, b"").decode(errors="replace") for field in (b"trace", b"revision"))
    return Entry(name_of(name.decode(), ledger), fields.get(b"signal", b""), trace, revision)


def _pairs(found: Sequence[Any]) -> list[tuple[bytes, Any]]:
    return [(name, iter(fields)) for name, fields in found]
