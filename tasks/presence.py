"""Which workers live: each writes itself into the ledger every few seconds, under Redis's own clock.

So ingest, the doctor and the page know it without asking workers anything, and a clock that is wrong shows.
"""

from collections.abc import Mapping

import msgspec
import redis

from tasks.ledger import Keys

#: A worker that has not been seen for so long is gone.
ALIVE_S = 15.0


class _Entry(msgspec.Struct):
    seen_s: float
    clock_ms: float
    queues: list[str]
    processes: int
    version: str


class WorkerSeen(msgspec.Struct, frozen=True):
    """A worker that lives."""

    name: str
    queues: list[str]
    processes: int
    version: str
    #: Since it last wrote itself down, by Redis's clock.
    age_s: float
    #: How far its wall clock is ahead of Redis's.
    clock_ahead_s: float


_decode = msgspec.json.Decoder(_Entry).decode


def alive(entries: Mapping[bytes, bytes], now_s: float) -> list[WorkerSeen]:
    """Give the living workers by name, of a reply of HGETALL and of Redis's time. Entries that are not ours are left out."""
    seen = []
    for name, packed in sorted(entries.items()):
        try:
            entry = _decode(packed)
        except ValueError:
            continue
        age_s = now_s - entry.seen_s
        if age_s <= ALIVE_S:
            ahead_s = entry.clock_ms / 1000 - entry.seen_s
            seen.append(
                WorkerSeen(name.decode(), entry.queues, entry.processes, entry.version, age_s, round(ahead_s, 3))
            )
    return seen


def read(client: redis.Redis, keys: Keys) -> list[WorkerSeen]:
    """Ask who lives. Raises what Redis raises."""
    with client.pipeline(transaction=False) as pipe:
        pipe.hgetall(keys.workers)
        pipe.time()
        entries, (now_s, now_us) = pipe.execute()
    return alive(entries, now_s + now_us / 1e6)
