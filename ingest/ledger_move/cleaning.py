"""Removes what is somewhere else now: from servers that leave all that is the ledger's, from others what is not theirs."""

from ingest.ledger_move.parties import Parties
from ingest.ledger_move.plan import NewShards


class Cleaning:
    """Removes keys and fields, on the servers that had a ledger."""

    def __init__(self, parties: Parties, shards: NewShards) -> None:
        self._parties, self._plan, self._start = parties, parties.plan, shards.frontier

    async def clean(self) -> None:
        """Remove all of it but the marks."""
        for server in self._plan.servers:
            keys = [key for key in await self._parties.key_names(server) if key != self._parties.keys.moving]
            gone = [key for key in keys if not self._plan.keeps_key(server, self._parties.suffix(key))]
            await self._parties.remove_keys(server, gone)
            for key in set(keys) - set(gone):
                if (pool := self._parties.suffix(key)).startswith("pool:"):
                    await self._clean_pool(server, key, pool.removeprefix("pool:"))

    async def _clean_pool(self, server: str, key: str, pool: str) -> None:
        async for page in self._parties.pages(server, key):
            gone = [field for field in page if not self._plan.keeps(server, pool, field, self._start)]
            await self._parties.remove_fields(server, key, gone)
