"""Puts records and states that a backtest computed into the ledger, so that what comes live goes on from them.

As a reset, this is one script, and no commit of a run that began before it comes after it. What the plan saw in the
ledger must still stand there; else nothing is written, and a new plan is made.

Of several ledgers each has a script of its own, once all have a plan. The script checks which configuration is in force,
which only the first ledger knows: of the others it is read there right before. A change of it that comes in between does
no more than one that comes right after.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from tasks import configuration
from tasks.clients.redis_client import connect, connection_options
from tasks.configuration import Configuration
from tasks.errors import LedgerError
from tasks.ledger import script
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.lua import pack, string
from tasks.ledger.reader import CHUNK, LedgerReader
from tasks.ops.ledger_parts import change_each
from tasks.ops.seed_plan import PoolSeed, by_ledger, plan
from tasks.ops.states import KEEP, StateReset
from tasks.protocol.routing import Pool
from tasks.settings import Settings

#: Redis does nothing else while it writes them.
MAX_BYTES = 64 * 1024 * 1024
#: How often a new plan is made because the pipeline changed something meanwhile.
TRIES = 5


class SeedContent(NamedTuple):
    """What is put in, and where it comes from."""

    #: Records and states, by pool and field name.
    fields: Mapping[str, Mapping[str, bytes]]
    #: The version in force whose strategies they are of.
    version: str
    strategy: str
    symbol: str
    files: tuple[str, ...]
    #: The pools of that version, by name.
    pools: Mapping[str, Pool]


class StateSeeder:
    """Puts records and states into the ledger."""

    def __init__(self, settings: Settings) -> None:
        """Connect. Raises ServerUnavailableError."""
        reader = LedgerReader.reach(settings)
        self._clients: tuple[Any, ...] = reader.clients
        self._keys, self._settings = reader.keys, settings
        # They never send twice: a second time they would find their own states in the way.
        once = [connect(settings, url, **connection_options()) for url in settings.ledgers]
        self._seed = [client.register_script(script("seed")) for client in once]

    def configuration(self) -> Configuration:
        """Return the configuration in force, before ingest's first start the strategies file's.

        Raises LedgerError and SettingsError.
        """
        store = ConfigurationStore(self._settings)
        version = store.version()
        return store.read(version) if version else configuration.read(self._settings.strategies_file)

    def plan(self, content: SeedContent, *, replace: bool, ledger: int | None = None) -> list[PoolSeed]:
        """Return what would be written, into all ledgers or one.

        Raises LedgerError as `seed_plan.plan`, and where it is too much at once.
        """
        plans = [
            plan(pool, past, self._stored(number, pool), replace=replace)._replace(ledger=number)
            for pool, fields in sorted(content.fields.items())
            for number, past in sorted(by_ledger(content.pools[pool], fields, len(self._clients)).items())
            if ledger in {None, number}
        ]
        size = sum(len(part) for each in plans for write in each.writes for part in write[1:])
        if size > MAX_BYTES:
            raise LedgerError(
                f"the states take {size / 2**20:.0f} MiB, more than the {MAX_BYTES // 2**20} MiB that can be put in at "
                "once: seed in parts, with --symbol"
            )
        return [each for each in plans if each.writes]

    def seed(self, content: SeedContent, author: str, reason: str, *, replace: bool) -> list[PoolSeed]:
        """Put all of it in, in one step for each ledger; return what was written, nothing where it is all there.

        Raises LedgerError as `plan`, when the pipeline changes the configuration or, again and again, the states, and
        where some ledgers are changed and another one refused.
        """
        plans: dict[int, list[PoolSeed]] = {}
        for each in self.plan(content, replace=replace):
            plans.setdefault(each.ledger, []).append(each)

        def seed_one(ledger: int, first: list[PoolSeed]) -> list[PoolSeed]:
            return self._seed_one(ledger, first, content, author, reason, replace=replace)

        return [*chain.from_iterable(change_each(plans, seed_one))]

    def _seed_one(
        self, ledger: int, plans: list[PoolSeed], content: SeedContent, author: str, reason: str, *, replace: bool
    ) -> list[PoolSeed]:
        for number in range(TRIES):
            if number:
                plans = self.plan(content, replace=replace, ledger=ledger)
            answer = self._write(ledger, plans, content, author, reason) if plans else "seeded"
            if answer == "seeded":
                return plans
            if answer == "configuration":
                raise LedgerError("the configuration was changed meanwhile; nothing was put in: try again")
        raise LedgerError(
            "the pipeline changes these states all the time; nothing was put in: stop the feed, and try again"
        )

    def _write(self, ledger: int, plans: Sequence[PoolSeed], content: SeedContent, author: str, reason: str) -> str:
        if ledger:
            version = (self._clients[0].hget(self._keys.configuration, "version") or b"").decode()
            if version not in {"", content.version}:
                return "configuration"
        keys = [self._keys.resets, self._keys.configuration, *(self._keys.pool(each.pool) for each in plans)]
        pools = []
        for each in plans:
            about = StateReset(each.pool, content.strategy, "", content.symbol, author, reason, content.files)
            expected = ((write.field, string(write.expected)) for write in each.writes)
            values = ((write.field, string(write.value)) for write in each.writes)
            packed = string(msgspec.json.encode(about))
            pools.append([packed, each.states, [*chain.from_iterable(expected)], [*chain.from_iterable(values)]])
        answer: bytes = self._seed[ledger](keys=keys, args=[KEEP, content.version, pack(pools)])
        return answer.decode()

    def _stored(self, ledger: int, pool: str) -> dict[str, bytes]:
        """Return the records that a ledger holds of a pool, the states and what stands beside them."""
        found = self._clients[ledger].hscan_iter(self._keys.pool(pool), match="*:*:*:*", count=CHUNK)
        return {field.decode(errors="replace"): packed for field, packed in found}
