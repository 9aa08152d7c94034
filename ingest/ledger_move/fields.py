"""The fields of pools: copied to where they belong, page by page. What is there already stays as it is, or is the same."""

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from ingest.ledger_move.parties import Parties
from ingest.ledger_move.plan import symbol_in
from tasks.ledger import RESETS
from tasks.protocol.counters import read_count
from tasks.protocol.strikes import LastStrike, read_last_strikes, strikes_field


class PoolFields:
    """Copies what the old servers hold in pools."""

    def __init__(self, parties: Parties) -> None:
        self._parties, self._plan = parties, parties.plan
        #: The symbols that have got another home, and how many fields were copied.
        self.symbols, self.copied = set[str](), 0
        #: By key of a pool and field: what all servers get.
        self._resets: dict[str, int] = {}
        self._strikes = defaultdict[tuple[str, str], dict[str, LastStrike]](dict)

    async def copy(self) -> None:
        """Copy all of them."""
        for server in dict.fromkeys(self._plan.old):
            for key in await self._parties.key_names(server, "pool:*"):
                pool = self._parties.suffix(key).removeprefix("pool:")
                async for page in self._parties.pages(server, key):
                    await self._copy_page(server, key, pool, page)
        everywhere = defaultdict[str, dict[str, str | bytes]](dict)
        for key, resets in self._resets.items():
            everywhere[key][RESETS] = str(resets)
        for (key, field), strikes in self._strikes.items():
            everywhere[key][field] = msgspec.json.encode(strikes)
        for server in self._plan.new:
            for key, fields in everywhere.items():
                await self._parties.put(server, key, fields)

    async def _copy_page(self, server: str, key: str, pool: str, page: Mapping[str, bytes]) -> None:
        to = defaultdict[str, dict[str, bytes]](dict)
        for field, value in page.items():
            if field == RESETS:
                self._resets[key] = max(self._resets.get(key, 0), read_count(value) or 0)
            elif field.startswith(strikes_field("")):
                self._add_strikes(key, field, value)
            elif (home := self._home(pool, field)) not in {None, server}:
                to[home or ""][field] = value
        for home, fields in to.items():
            await self._parties.put(home, key, fields)
            self.copied += len(fields)
            self.symbols.update(filter(None, map(symbol_in, fields)))

    def _home(self, pool: str, field: str) -> str | None:
        return next(iter(self._plan.homes(pool, field)), None)

    def _add_strikes(self, key: str, field: str, value: bytes) -> None:
        known = self._strikes[key, field]
        for strategy, strike in read_last_strikes(value).items():
            if strategy not in known or known[strategy].at_s < strike.at_s:
                known[strategy] = strike
