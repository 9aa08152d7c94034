"""What one ledger has counted, and what waits in it."""

import time
from contextlib import suppress
from typing import Any, NamedTuple

import redis.asyncio as redis
from redis.exceptions import ResponseError

from ingest.relay import GROUP
from tasks.ledger import LedgerKeys
from tasks.protocol.counters import Counts


class LedgerTotals(NamedTuple):
    """The answers of one ledger. A value is None where Redis's access rules forbid the command."""

    counters: Counts
    #: How many there are, and how many there have ever been.
    deadletters: int
    deadletters_written: int
    #: Age of the oldest of them by its server's clock; 0: there is none.
    deadletter_age_s: float
    signals_waiting: int | None
    #: When it told its counters, monotonic seconds.
    at_s: float


async def read_totals(client: redis.Redis, keys: LedgerKeys) -> LedgerTotals:
    """Return what a ledger answers. Raises what Redis raises."""
    async with client.pipeline(transaction=False) as pipe:
        pipe.xlen(keys.deadletters)
        pipe.xrange(keys.deadletters, count=1)
        pipe.hgetall(keys.counters)
        pipe.time()
        count, oldest, stored, (now_s, now_us) = await pipe.execute()
    at_s = time.monotonic()
    written_ms = int(oldest[0][0].partition(b"-")[0]) if oldest else None
    age_s = max(0.0, now_s + now_us / 1e6 - written_ms / 1000) if written_ms is not None else 0.0
    written, waiting = await _deadletters_written(client, keys), await _signals_waiting(client, keys)
    return LedgerTotals(Counts.read(stored), count, written, age_s, waiting, at_s)


async def _deadletters_written(client: redis.Redis, keys: LedgerKeys) -> int:
    with suppress(ResponseError):  # before the first one there is no stream
        about: Any = await client.xinfo_stream(keys.deadletters)
        return int(about["entries-added"])
    return 0


async def _signals_waiting(client: redis.Redis, keys: LedgerKeys) -> int | None:
    with suppress(ResponseError):  # before the first signal there is no stream
        groups: Any = await client.xinfo_groups(keys.signals)
        for group in groups:
            if group["name"] == GROUP.encode():
                return int(group["pending"]) + int(group["lag"] or 0)
    return None
