"""Removes symbols that had no event for a long time: records, states, paper accounts, and their lines of the audit.

As a reset, each portion is one script, and no commit of a run that began before it comes after it. Of a symbol that had an
event since it was read, nothing is removed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tasks.clients.redis_client import connect, connection_options
from tasks.ledger import pager, script
from tasks.ledger.keys import read_position
from tasks.ledger.lua import pack, string
from tasks.ledger.reader import CHUNK, LedgerReader
from tasks.ops.prune_plan import IdleSymbol, IdleSymbols, LedgerField, MarketSymbol, complete, idle_symbols, portions
from tasks.ops.states import KEEP, StateReset
from tasks.settings import Settings


class StatePruner:
    """Finds idle symbols in the ledger, and removes them."""

    def __init__(self, settings: Settings) -> None:
        """Connect. Raises ServerUnavailableError."""
        reader = LedgerReader.reach(settings)
        self._reader: Any = reader.client
        self._keys = reader.keys
        # One that never sends twice: the second time, all would seem to have changed.
        self._prune = connect(settings, settings.ledger, **connection_options()).register_script(script("prune"))

    def find(self, idle_ms: int) -> IdleSymbols:
        """Return the symbols that had no event for `idle_ms` before the newest event of all.

        Raises LedgerError: a frontier can't be read.
        """
        seconds, _ = self._reader.time()
        found = idle_symbols(self._fields("record:*:*:*"), idle_ms, seconds * 1_000, self._frontiers())
        if found.symbols:
            beside = (each for kind in ("state", "paper") for each in self._fields(f"{kind}:*:*:*"))
            lines = ((name, fields.get(b"line", b"")) for name, fields in pager.entries(self._reader, self._keys.audit))
            complete(found, beside, lines)
        return found

    def prune(self, found: IdleSymbols, idle_s: int, author: str, reason: str) -> list[MarketSymbol]:
        """Remove them; return which were removed: not those that had an event meanwhile."""
        pools = sorted(self._pools())
        removed: list[MarketSymbol] = []
        for portion in portions(found.symbols):
            answers = self._remove(portion, pools, idle_s, author, reason)
            removed += [symbol.name for symbol, done in zip(portion, answers, strict=True) if done]
        return removed

    def _remove(
        self, portion: Sequence[IdleSymbol], pools: Sequence[str], idle_s: int, author: str, reason: str
    ) -> list[int]:
        numbers = {pool: number for number, pool in enumerate(pools, 1)}
        symbols = []
        for symbol in portion:
            expected = symbol.expected(pools)
            flat = [part for pool, name, held in expected for part in (numbers[pool], name, string(held))]
            symbols.append([flat, symbol.lines])
        abouts = [
            string(msgspec.json.encode(StateReset(pool, "", "", "", author, reason, idle_s=idle_s))) for pool in pools
        ]
        keys = [self._keys.resets, self._keys.audit, *map(self._keys.pool, pools)]
        answers: list[int] = self._prune(keys=keys, args=[KEEP, pack(symbols), pack(abouts)])
        return answers

    def _pools(self) -> Iterator[str]:
        prefix = self._keys.pool("")
        for key in set(self._reader.scan_iter(match=f"{prefix}*", count=CHUNK)):
            yield key.decode().removeprefix(prefix)

    def _fields(self, pattern: str) -> Iterator[LedgerField]:
        """Yield the fields of all pools that fit, each once; a symbol that is called `all` is not told from all."""
        for pool in self._pools():
            seen = set[bytes]()
            for field, packed in self._reader.hscan_iter(self._keys.pool(pool), match=pattern, count=CHUNK):
                each = LedgerField(pool, field.decode(errors="replace"), packed)
                if field not in seen and each.of.symbol != "all":
                    seen.add(field)
                    yield each

    def _frontiers(self) -> dict[str, int]:
        """Return by source the lowest number up to which a shard is done."""
        lowest: dict[str, int] = {}
        for key in self._reader.scan_iter(match=self._keys.shard_pattern, count=CHUNK):
            if frontier := read_position(self._reader.hget(key, "frontier"), f"{key} frontier"):
                lowest[frontier.source] = min(frontier.seq, lowest.get(frontier.source, frontier.seq))
        return lowest
