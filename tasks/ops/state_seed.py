"""Puts records and states that a backtest computed into the ledger, so that what comes live goes on from them.

As a reset, this is one script, and no commit of a run that began before it comes after it. What the plan saw in the
ledger must still stand there; else nothing is written, and a new plan is made.
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
from tasks.ops.seed_plan import PoolSeed, plan
from tasks.ops.states import KEEP, StateReset
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


class StateSeeder:
    """Puts records and states into the ledger."""

    def __init__(self, settings: Settings) -> None:
        """Connect. Raises ServerUnavailableError."""
        reader = LedgerReader.reach(settings)
        self._reader: Any = reader.client
        self._keys, self._settings = reader.keys, settings
        # One that never sends twice: a second time it would find its own states in the way.
        self._seed = connect(settings, settings.ledger, **connection_options()).register_script(script("seed"))

    def configuration(self) -> Configuration:
        """Return the configuration in force, before ingest's first start the strategies file's.

        Raises LedgerError and SettingsError.
        """
        store = ConfigurationStore(self._settings)
        version = store.version()
        return store.read(version) if version else configuration.read(self._settings.strategies_file)

    def plan(self, content: SeedContent, *, replace: bool) -> list[PoolSeed]:
        """Return what would be written. Raises LedgerError as `seed_plan.plan`, and where it is too much at once."""
        plans = [
            plan(pool, past, self._stored(pool), replace=replace)
            for pool, past in sorted(content.fields.items())
            if past
        ]
        size = sum(len(part) for each in plans for write in each.writes for part in write[1:])
        if size > MAX_BYTES:
            raise LedgerError(
                f"the states take {size / 2**20:.0f} MiB, more than the {MAX_BYTES // 2**20} MiB that can be put in at "
                "once: seed in parts, with --symbol"
            )
        return [each for each in plans if each.writes]

    def seed(self, content: SeedContent, author: str, reason: str, *, replace: bool) -> list[PoolSeed]:
        """Put all of it in, in one step; return what was written, nothing where it is all there.

        Raises LedgerError as `plan`, and when the pipeline changes the configuration or, again and again, the states.
        """
        for _ in range(TRIES):
            plans = self.plan(content, replace=replace)
            answer = self._write(plans, content, author, reason) if plans else "seeded"
            if answer == "seeded":
                return plans
            if answer == "configuration":
                raise LedgerError("the configuration was changed meanwhile; nothing was put in: try again")
        raise LedgerError(
            "the pipeline changes these states all the time; nothing was put in: stop the feed, and try again"
        )

    def _write(self, plans: Sequence[PoolSeed], content: SeedContent, author: str, reason: str) -> str:
        keys = [self._keys.resets, self._keys.configuration, *(self._keys.pool(each.pool) for each in plans)]
        pools = []
        for each in plans:
            about = StateReset(each.pool, content.strategy, "", content.symbol, author, reason, content.files)
            expected = ((write.field, string(write.expected)) for write in each.writes)
            values = ((write.field, string(write.value)) for write in each.writes)
            packed = string(msgspec.json.encode(about))
            pools.append([packed, each.states, [*chain.from_iterable(expected)], [*chain.from_iterable(values)]])
        answer: bytes = self._seed(keys=keys, args=[KEEP, content.version, pack(pools)])
        return answer.decode()

    def _stored(self, pool: str) -> dict[str, bytes]:
        """Return the records of a pool, its states and what stands beside them."""
        found = self._reader.hscan_iter(self._keys.pool(pool), match="*:*:*:*", count=CHUNK)
        return {field.decode(errors="replace"): packed for field, packed in found}
