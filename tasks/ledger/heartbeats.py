"""Live workers: each writes a heartbeat into the ledger every few seconds, under Redis's own clock.

So ingest, the doctor and the page know it without asking workers anything, and a clock that is wrong shows. A notice
tells ingest at once of a worker that starts, stops, or changes its queues.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import redis
from redis.asyncio import Redis as AsyncRedis

from tasks.clients.redis_client import async_connection_options, connect_async
from tasks.errors import UNREADABLE
from tasks.events import KINDS
from tasks.ledger.keys import LedgerKeys
from tasks.ledger.lua import script
from tasks.protocol.notice import WORKERS_NOTICE
from tasks.protocol.routing import TABLES
from tasks.settings import Settings
from tasks.version import VERSION

#: A worker that has not been seen for so long is gone. Ingest looks every second, so it knows of a death within 11 s.
ALIVE_S = 10.0
#: How often a worker writes itself down.
EVERY_S = 3.0


class _HeartbeatEntry(msgspec.Struct):
    """A worker's heartbeat as it is written."""

    #: Its wall clock.
    clock_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    queues: list[str]
    processes: int
    version: str
    #: The control command that it refused last, if that was lately.
    refused: str = ""
    #: The kinds of events that its code can read; not said by versions that know only these two.
    kinds: tuple[str, ...] = ("depth", "trade")
    #: The tables of the strategies file that its code can read, beside those of version 1.0.
    tables: tuple[str, ...] = ()
    #: How many ledgers it knows.
    ledgers: int = 1


class _StoredHeartbeat(_HeartbeatEntry, kw_only=True):
    """A worker's heartbeat as it is stored, with the time of writing."""

    #: When it was written, by Redis's clock; unix seconds.
    seen_s: float


class LiveWorker(msgspec.Struct, frozen=True):
    """A live worker."""

    name: str
    queues: list[str]
    processes: int
    version: str
    #: Since it last wrote itself down, by Redis's clock.
    age_s: float
    #: How far its wall clock is ahead of Redis's.
    clock_ahead_s: float
    #: The control command that it refused last, if that was lately.
    refused: str = ""
    #: The kinds of events that its code can read.
    kinds: Sequence[str] = ("depth", "trade")
    #: The tables of the strategies file that its code can read, beside those of version 1.0.
    tables: Sequence[str] = ()
    #: How many ledgers it knows.
    ledgers: int = 1


_decode = msgspec.json.Decoder(_StoredHeartbeat).decode


def alive(entries: Mapping[bytes, bytes], now_s: float) -> list[LiveWorker]:
    """Return the living workers, sorted by name, from Redis's hash `workers` and its clock (unix seconds).

    Entries that are not ours are left out.
    """
    seen = []
    for name, packed in sorted(entries.items()):
        try:
            node, entry = name.decode(), _decode(packed)
        except UNREADABLE:
            continue
        age_s = now_s - entry.seen_s
        if age_s <= ALIVE_S:
            ahead_s = entry.clock_ms / 1000 - entry.seen_s
            told, reads = (entry.queues, entry.processes, entry.version), (entry.kinds, entry.tables, entry.ledgers)
            seen.append(LiveWorker(node, *told, age_s, round(ahead_s, 3), entry.refused, *reads))
    return seen


def read(client: redis.Redis, keys: LedgerKeys) -> list[LiveWorker]:
    """Return the living workers, by name: those that wrote within `ALIVE_S` seconds, by Redis's clock.

    Raises what Redis raises.
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.hgetall(keys.workers)
        pipe.time()
        entries, (now_s, now_us) = pipe.execute()
    return alive(entries, now_s + now_us / 1e6)


async def read_async(client: AsyncRedis, keys: LedgerKeys) -> list[LiveWorker]:
    """Return what `read` returns, on an asynchronous client. Raises what Redis raises."""
    async with client.pipeline(transaction=False) as pipe:
        pipe.hgetall(keys.workers)
        pipe.time()
        entries, (now_s, now_us) = await pipe.execute()
    return alive(entries, now_s + now_us / 1e6)


class Heartbeat:
    """One worker's own entry. Raises what Redis raises."""

    def __init__(self, settings: Settings, name: str) -> None:
        """Take a name that no other worker has; the connection opens at the first call."""
        options = async_connection_options()
        self._client = connect_async(settings, settings.ledger, **options)
        self._keys, self._ledgers = LedgerKeys(settings.namespace), len(settings.ledgers)
        self._name = name
        self._write = self._client.register_script(script("heartbeat"))

    async def announce(self, processes: int, queues: Sequence[str], refused: str = "") -> None:
        """Write down that this worker lives, with so many processes, and which queues it takes tasks from now.

        `refused` is the control command that it refused last, if that was lately.
        """
        clock_ms = time.time_ns() // 10**6
        said = _HeartbeatEntry(clock_ms, list(queues), processes, VERSION, refused, KINDS, TABLES, self._ledgers)
        await self._call(msgspec.json.encode(said))

    async def leave(self) -> None:
        """Remove the entry of this worker."""
        await self._call(b"")

    async def _call(self, entry: bytes) -> None:
        arguments: tuple[str | bytes, ...] = (self._name, entry, self._keys.notices, WORKERS_NOTICE)
        await self._write(keys=[self._keys.workers], args=arguments)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()
