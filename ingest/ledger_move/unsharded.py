"""What belongs to no shard: it is on the first server, and goes to the one that will be."""

from typing import Any

from ingest.ledger_move.mark import Mark
from ingest.ledger_move.parties import Parties

_STEP = "copied:unsharded"
_LISTS = "api:answers"


class Unsharded:
    """Copies configurations, where deliveries stand, and answers of the API. Workers tell of themselves again."""

    def __init__(self, parties: Parties, mark: Mark) -> None:
        self._parties, self._plan, self._keys, self._mark = parties, parties.plan, parties.keys, mark

    async def copy(self) -> None:
        """Copy them, unless that is done: what they say may be merged with other things by now."""
        for server in self._plan.old:
            # Each ledger has those under which its shard worked.
            if server != self._plan.first and (server in self._plan.leaving or server == self._plan.old[0]):
                await self._copy_hash(server, self._keys.configurations)
        if self._plan.moves_first and not await self._mark.has(_STEP):
            await self._copy_rest(self._plan.old[0])
            await self._mark.note(_STEP)

    async def _copy_rest(self, server: str) -> None:
        await self._copy_hash(server, self._keys.configuration)
        for key in await self._parties.key_names(server, "delivery:*"):
            await self._copy_hash(server, key)
        for key in await self._parties.key_names(server, "api:*"):
            if self._parties.suffix(key) == _LISTS:
                await self._copy_list(server, key)
            else:
                await self._copy_string(server, key)

    async def _copy_hash(self, server: str, key: str) -> None:
        async for page in self._parties.pages(server, key):
            await self._parties.put(self._plan.first, key, page)

    async def _copy_list(self, server: str, key: str) -> None:
        items: Any = await self._parties.done(self._parties[server].lrange(key, 0, -1))
        async with self._parties.first.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.rpush(key, *items)
            await pipe.execute()

    async def _copy_string(self, server: str, key: str) -> None:
        value, left_ms = await self._parties[server].get(key), await self._parties[server].pttl(key)
        if value is not None and left_ms > 0:
            await self._parties.first.set(key, value, px=left_ms)
