"""Where each delivery of signals stands: a hash by its name, written by the one process that holds its lease.

Its scripts check the lease at each write. So a process that wakes up late changes nothing, and sends at most the signal
that it was sending, with the id that it has anyway.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

import msgspec
import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tasks.clients.redis_client import FAILED, connect_async, connection_options
from tasks.ledger.confirmation import Confirmation
from tasks.ledger.keys import LedgerKeys
from tasks.ledger.lease import Lease, NotLeadingError
from tasks.ledger.lua import script
from tasks.protocol import dead_letters
from tasks.protocol.counters import read_count
from tasks.protocol.dead_letters import DeadLetter
from tasks.settings import Settings

#: Where a delivery of a new name begins.
Start = Literal["now", "start"]
#: What becomes of signals, each a counter.
COUNTED = ("sent", "filtered", "refused", "trimmed")
_LEASE = ":lease"


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

    position: str
    #: How many signals of the stream lie at its position and before, trimmed ones included.
    passed: int
    #: How many signals were trimmed before it read them.
    trimmed: int
    #: How many wait behind its position.
    waiting: int
    entries: Sequence[Entry]


class DeliveryStep(NamedTuple):
    """How far a delivery got."""

    position: str
    passed: int
    sent: int = 0
    filtered: int = 0
    refused: int = 0
    trimmed: int = 0
    letter: DeadLetter | None = None


class DeliveryStore:
    """The position of one delivery, for the process that holds its lease."""

    def __init__(self, settings: Settings, name: str, kind: str, start: Start) -> None:
        options = connection_options() | {"retry": Retry(NoBackoff(), 0)}
        self.client = connect_async(settings, settings.ledger, **options)
        keys = LedgerKeys(settings.namespace)
        self._signals, self._key, self._letters = keys.signals, keys.delivery(name), keys.deadletters
        self._kind, self._start, self._holder = kind, start, secrets.token_hex(8)
        self.lease = Lease(self.client, f"{self._key}{_LEASE}", self._holder)
        self._read = self.client.register_script(script("delivery_read"))
        self._commit = self.client.register_script(script("delivery_commit"))
        self._confirmation = Confirmation(self.client, settings.ledger_durability, self._key)

    async def read(self, count: int) -> Unread:
        """Return up to `count` signals behind the position. Raises NotLeadingError, and what Redis raises.

        They are those that nothing takes back any more, as LEDGER_DURABILITY asks for.
        """
        arguments = [self._holder, count, self._start, self._signals]
        answer = await self._confirmation.run(self._read, [self._key, self.lease.key], arguments)
        if not answer:
            raise NotLeadingError
        position, passed, added, length, found = answer
        entries = [_entry(name, dict(zip(it, it, strict=True))) for name, it in _pairs(found)]
        trimmed = max(0, added - length - passed)
        return Unread(position.decode(), passed + trimmed, trimmed, added - passed - trimmed, entries)

    async def count_after(self, passed: int) -> int:
        """Return how many signals there are behind the first `passed`. Raises what Redis raises."""
        about: Any = await self.client.xinfo_stream(self._signals)
        return max(0, int(about["entries-added"]) - passed)

    async def wait(self, position: str, block_ms: int) -> None:
        """Return once there is a signal behind a position, or after some time."""
        await self.client.xread({self._signals: position}, count=1, block=block_ms)

    async def commit(self, before: str, step: DeliveryStep) -> None:
        """Write a step that goes on from the position `before`. Raises NotLeadingError, and what Redis raises."""
        letter = dead_letters.pack(step.letter) if step.letter else b""
        counts = {name: getattr(step, name) for name in COUNTED}
        arguments: list[Any] = [self._holder, before, step.position, step.passed, self._kind, dead_letters.KEEP, letter]
        arguments += [part for item in counts.items() if item[1] for part in item]
        if not await self._commit(keys=[self._key, self.lease.key, self._letters], args=arguments):
            raise NotLeadingError

    async def note(self, trouble: str) -> None:
        """Write down why nothing is delivered, for `doctor`; nothing: it is."""
        answer: Any = self.client.hset(self._key, "trouble", trouble)
        await answer

    async def close(self) -> None:
        """Let go of the lease and of the connection."""
        with suppress(*FAILED):
            await self.lease.release()
        await self.client.aclose()


def _entry(name: bytes, fields: dict[bytes, bytes]) -> Entry:
    trace, revision = (fields.get(field, b"").decode(errors="replace") for field in (b"trace", b"revision"))
    return Entry(name.decode(), fields.get(b"signal", b""), trace, revision)


def _pairs(found: Sequence[Any]) -> list[tuple[bytes, Any]]:
    return [(name, iter(fields)) for name, fields in found]


class DeliveryState(msgspec.Struct, frozen=True):
    """A delivery as others see it."""

    name: str
    kind: str
    #: Whether a process holds its lease.
    running: bool
    #: How many signals wait, and since when the oldest of them was committed.
    waiting: int
    oldest_s: float
    sent: int
    filtered: int
    refused: int
    trimmed: int
    #: Why nothing is delivered; empty: it is.
    trouble: str


def read_all(client: redis.Redis, keys: LedgerKeys) -> list[DeliveryState]:
    """Return every delivery, by name. Raises what Redis raises."""
    prefix = keys.delivery("")
    names = {each.decode().removeprefix(prefix) for each in client.scan_iter(match=f"{prefix}*", count=1_000)}
    return [_state(client, keys, name) for name in sorted(names) if ":" not in name]


def _state(client: redis.Redis, keys: LedgerKeys, name: str) -> DeliveryState:
    key = keys.delivery(name)
    stored: Any = client.hgetall(key)
    position, kind, trouble = (
        stored.get(field, default).decode(errors="replace")
        for field, default in ((b"position", b"0-0"), (b"kind", b""), (b"trouble", b""))
    )
    counts = {name: read_count(stored.get(name.encode())) or 0 for name in ("passed", *COUNTED)}
    passed = counts.pop("passed")
    next_one: Any = client.xrange(keys.signals, min=f"({position}", count=1)
    added = client.xinfo_stream(keys.signals)["entries-added"] if next_one else 0
    now_s, now_us = client.time()
    oldest_s = now_s + now_us / 1e6 - int(next_one[0][0].partition(b"-")[0]) / 1_000 if next_one else 0.0
    return DeliveryState(
        name=name,
        kind=kind,
        running=bool(client.exists(f"{key}{_LEASE}")),
        waiting=max(0, added - passed),
        oldest_s=round(oldest_s, 3),
        trouble=trouble,
        **counts,
    )


def forget(client: redis.Redis, keys: LedgerKeys, name: str) -> bool:
    """Remove a delivery; return whether there was one. Raises what Redis raises."""
    key = keys.delivery(name)
    fields: Any = client.hgetall(key)
    return bool(fields and client.hdel(key, *fields))


def is_running(client: redis.Redis, keys: LedgerKeys, name: str) -> bool:
    """Return whether a process holds the lease of a delivery. Raises what Redis raises."""
    return bool(client.exists(f"{keys.delivery(name)}{_LEASE}"))
