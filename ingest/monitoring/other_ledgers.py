"""The ledgers of other shards: what they have counted, and whether they answer. Their shards need them, this one does not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial

from nats.errors import Error as NatsError

from ingest.ledger.servers import RedisServers
from ingest.monitoring.ledger_totals import LedgerTotals, read_totals
from tasks.clients.redis_client import FAILED, reason
from tasks.ledger import LedgerKeys
from tasks.protocol.counters import Counts
from tasks.protocol.findings import Finding, unavailable_ledger
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

    def findings(self) -> Iterator[Finding]:
        """Yield a warning for each that does not answer."""
        for number, why in self._failed.items():
            yield unavailable_ledger(number, mask(self._urls[number]), why)
