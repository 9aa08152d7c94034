"""The ledgers of other shards: what they have counted, and whether they answer. Their shards need them, this one does not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

from nats.errors import Error as NatsError

from ingest.lanes.layout import StoredLayout, check_place
from ingest.ledger.servers import RedisServers
from ingest.monitoring.ledger_totals import LedgerTotals, read_totals
from tasks.clients.redis_client import FAILED, reason
from tasks.errors import LedgerError, SettingsError
from tasks.ledger import LedgerKeys
from tasks.protocol.counters import Counts
from tasks.protocol.findings import Finding, misplaced_ledger, unavailable_ledger
from tasks.settings import mask

#: The shard whose ledger has what belongs to no shard.
FIRST = 0


class OtherLedgers:
    """Reads them every few seconds, as far as they answer."""

    def __init__(self, servers: RedisServers, keys: LedgerKeys) -> None:
        self._clients, self._urls, self._keys = servers.other_ledgers, servers.ledger_urls, keys
        #: By shard: the last answer, and why there is none now.
        self._totals: dict[int, LedgerTotals] = {}
        self._failed: dict[int, str] = {}
        #: By shard: why what is there is not its ledger.
        self._misplaced: dict[int, str] = {}

    @property
    def totals(self) -> Mapping[int, LedgerTotals]:
        """The last answers of those that have ever answered, by shard."""
        return self._totals

    @property
    def counts(self) -> Counts:
        """The sums of what the counters of those have said last, so that none falls while one does not answer."""
        return Counts.sum_of(each.counters for each in self._totals.values())

    async def ask(self) -> None:
        """Read all of them. Never raises what Redis raises."""
        await asyncio.gather(*(self.attempt(number, partial(self._ask, number)) for number in self._clients))

    async def _ask(self, number: int) -> None:
        self._totals[number] = await read_totals(self._clients[number], self._keys)

    async def attempt(self, number: int, step: Callable[[], Awaitable[None]]) -> None:
        """Run a step at the ledger of a shard; take note when it is unavailable or refuses. Raises what NATS raises."""
        try:
            await step()
            self._failed.pop(number, None)
        except NatsError:  # first, because some of these are an OSError too
            raise
        except FAILED as error:
            self._failed[number] = reason(error)

    async def attempt_if_right(self, number: int, step: Callable[[], Awaitable[None]]) -> None:
        """Do what `attempt` does, if the server has that shard's ledger or none yet; take note if it has another one."""
        await self.attempt(number, partial(self._check_and_run, number, step))

    async def _check_and_run(self, number: int, step: Callable[[], Awaitable[None]]) -> None:
        stored: Any = await self._clients[number].get(self._keys.layout)
        ledgers = len(self._urls)
        try:
            check_place(stored or b"", StoredLayout(ledgers, {}, ledgers=ledgers, ledger=number), self._keys.layout)
        except (SettingsError, LedgerError) as error:
            self._misplaced[number] = str(error)
            return
        self._misplaced.pop(number, None)
        await step()

    def findings(self) -> Iterator[Finding]:
        """Yield a warning for each that does not answer, or is another one."""
        for number, why in self._misplaced.items():
            yield misplaced_ledger(number, mask(self._urls[number]), why)
        for number, why in self._failed.items():
            yield unavailable_ledger(number, mask(self._urls[number]), why)
