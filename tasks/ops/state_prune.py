"""Removes symbols that had no event for a long time: records, states, paper accounts, and their lines of the audit.

As a reset, each portion is one script, and no commit of a run that began before it comes after it. Of a symbol that had an
event since it was read, nothing is removed; where two ledgers hold it, for two pools, that is so in each.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec

from tasks.clients.redis_client import connect, connection_options
from tasks.ledger import pager, script
from tasks.ledger.keys import read_position
from tasks.ledger.lua import pack, string
from tasks.ledger.reader import CHUNK, LedgerReader
from tasks.ops.ledger_parts import change_each
from tasks.ops.prune_plan import IdleSymbol, IdleSymbols, LedgerField, MarketSymbol, complete, idle_symbols, portions
from tasks.ops.states import KEEP, StateReset
from tasks.settings import Settings


class StatePruner:
    """Finds idle symbols in the ledger, and removes them."""

    def __init__(self, settings: Settings) -> None:
        """Connect. Raises ServerUnavailableError."""
        reader = LedgerReader.reach(settings)
        self._clients: tuple[Any, ...] = reader.clients
        self._keys = reader.keys
        # They never send twice: the second time, all would seem to have changed.
        once = [connect(settings, url, **connection_options()) for url in settings.ledgers]
        self._prune = [client.register_script(script("prune")) for client in once]

    def find(self, idle_ms: int) -> IdleSymbols:
        """Return the symbols that had no event for `idle_ms` before the newest event of all.

        Raises LedgerError: a frontier can't be read.
        """
        seconds, _ = self._clients[0].time()
        found = idle_symbols(self._fields("record:*:*:*"), idle_ms, seconds * 1_000, self._frontiers())
        if found.symbols:
            beside = (each for kind in ("state", "paper") for each in self._fields(f"{kind}:*:*:*"))
            audit = pager.entries(self._clients, self._keys.audit)
            lines = ((name, fields.get(b"line", b"")) for name, fields in audit)
            complete(found, beside, lines)
        return found

    def prune(self, found: IdleSymbols, idle_s: int, author: str, reason: str) -> list[MarketSymbol]:
        """Remove them; return which were removed: not those that had an event meanwhile.

        Raises LedgerError: some ledgers are changed, and another one refused.
        """
        parts: dict[int, list[IdleSymbol]] = {}
        for symbol in found.symbols:
            for ledger, part in symbol.parts.items():
                parts.setdefault(ledger, []).append(part)
        about = idle_s, author, reason
        stays = {*chain.from_iterable(change_each(parts, lambda ledger, its: self._remove_all(ledger, its, *about)))}
        return [symbol.name for symbol in found.symbols if symbol.name not in stays]

    def _remove_all(
        self, ledger: int, symbols: Sequence[IdleSymbol], idle_s: int, author: str, reason: str
    ) -> list[MarketSymbol]:
        """Remove what a ledger holds of symbols; return of which it stays."""
        pools, stays = sorted(self._pools(ledger)), list[MarketSymbol]()
        for portion in portions(symbols):
            answers = self._remove(ledger, portion, pools, idle_s, author, reason)
            stays += [symbol.name for symbol, done in zip(portion, answers, strict=True) if not done]
        return stays

    def _remove(
        self, ledger: int, portion: Sequence[IdleSymbol], pools: Sequence[str], idle_s: int, author: str, reason: str
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
        answers: list[int] = self._prune[ledger](keys=keys, args=[KEEP, pack(symbols), pack(abouts)])
        return answers

    def _pools(self, ledger: int) -> Iterator[str]:
        prefix = self._keys.pool("")
        for key in set(self._clients[ledger].scan_iter(match=f"{prefix}*", count=CHUNK)):
            yield key.decode().removeprefix(prefix)

    def _fields(self, pattern: str) -> Iterator[LedgerField]:
        """Yield the fields of all pools that fit, each once; a symbol that is called `all` is not told from all."""
        for ledger, pool in ((number, pool) for number in range(len(self._clients)) for pool in self._pools(number)):
            seen = set[bytes]()
            for field, packed in self._clients[ledger].hscan_iter(self._keys.pool(pool), match=pattern, count=CHUNK):
                each = LedgerField(pool, field.decode(errors="replace"), packed, ledger)
                if field not in seen and each.of.symbol != "all":
                    seen.add(field)
                    yield each

    def _frontiers(self) -> dict[str, int]:
        """Return by source the lowest number up to which a shard is done."""
        lowest: dict[str, int] = {}
        for client in self._clients:
            for key in client.scan_iter(match=self._keys.shard_pattern, count=CHUNK):
                if frontier := read_position(client.hget(key, "frontier"), f"{key} frontier"):
                    lowest[frontier.source] = min(frontier.seq, lowest.get(frontier.source, frontier.seq))
        return lowest
