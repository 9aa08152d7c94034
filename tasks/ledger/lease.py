"""Leadership of a shard, or of a delivery: a lock in Redis that its holder renews and that runs out when it does not.

The lease keeps a second process standing by, and lets it take over soon. It is not what keeps two leaders apart: a
process that was stopped for a minute believes for a moment that it still holds it. The script of each write does that,
by the epoch of a shard or the holder of a delivery; `held` only keeps such a process from sending what would be refused
or sent twice.
"""

import asyncio
import time
from contextlib import suppress

import redis.asyncio as redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, NoPermissionError

from tasks.errors import LedgerError, RealtimeStrategiesError
from tasks.ledger.key_types import is_endless

#: A leader that died is replaced after this and STANDBY_S at most.
TTL_S = 3.0
RENEW_S = 0.7
#: How often one that stands by looks.
STANDBY_S = 0.4


class SupersededError(RealtimeStrategiesError):
    """Another process has taken over."""


class NotLeadingError(RealtimeStrategiesError):
    """The lease ran out; it may be renewed, or somebody else may have it by now."""


class Lease:
    """The lock of one shard or delivery, with an expiry."""

    def __init__(self, client: redis.Redis, key: str, holder: str, ttl_s: float = TTL_S) -> None:
        """`holder` is what stands in the lock: unique for each process. Not renewed, it runs out after `ttl_s`."""
        self._client, self.key = client, key
        self._lock = Lock(client, key, timeout=ttl_s, blocking=False)
        self._ttl_s = ttl_s
        self._holder = holder
        self._until_s = 0.0
        #: One renewal at a time: of two that find the lease gone, the second would be refused by what the first took.
        self._renewing = asyncio.Lock()

    @property
    def held(self) -> bool:
        """Whether this process may still act as the leader, by its own monotonic clock."""
        return time.monotonic() < self._until_s

    async def take(self) -> bool:
        """Try to become the leader; return whether this process is it now.

        Raises what Redis raises, and LedgerError for a lease that no process of ours wrote.
        """
        asked_s = time.monotonic()
        if not await self._lock.acquire(token=self._holder):
            await self._refuse_foreign()
            return False
        self._until_s = asked_s + self._ttl_s
        return True

    async def _refuse_foreign(self) -> None:
        """Raise for what is nobody's lease, such as a key that is no string: one would stand by for ever."""
        await self._client.get(self.key)
        # A login of a release before may not ask that.
        with suppress(NoPermissionError):
            if is_endless(await self._client.pttl(self.key)):
                raise LedgerError(f"{self.key} does not run out, so that no process of ours wrote it and none can lead")

    async def renew(self) -> None:
        """Stay the leader. Raises SupersededError when somebody else is, and what Redis raises."""
        async with self._renewing:
            await self._renew()

    async def _renew(self) -> None:
        asked_s = time.monotonic()
        try:
            await self._lock.reacquire()
            self._until_s = asked_s + self._ttl_s
        except LockError:
            # It ran out while Redis was unavailable or had forgotten it, and may be there to be taken.
            if not await self.take():
                self._until_s = 0.0
                raise SupersededError(f"another process holds {self.key}") from None

    async def release(self) -> None:
        """Let the one that stands by take over at once. Raises what Redis raises."""
        self._until_s = 0.0
        if self._lock.local.token is not None:
            with suppress(LockError):  # it had run out
                await self._lock.release()
