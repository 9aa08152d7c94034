"""Aliases in the ledger: they change no version, and go with the strategies file."""

import redis

from tasks import configuration
from tasks.configuration import Configuration, aliases
from tasks.configuration.aliases import AliasedStrategy
from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tests.support.runtime_configuration import MOMENTUM, SIDED, Start, file, momentum, set_

THEIRS = {"momentum": AliasedStrategy(MOMENTUM, (MOMENTUM,)), "theirs": AliasedStrategy(SIDED, ("sided",))}


def aliased(**names: str) -> Configuration:
    tables = file().tables()
    strategies = tables["pools"]["trade"]["strategies"]
    strategies[SIDED]["alias"], strategies[MOMENTUM]["alias"] = names.get("sided", "theirs"), "momentum"
    return configuration.check(tables, "the file")


async def test_an_alias_comes_and_goes_without_a_change(start: Start, store: ConfigurationStore):
    await start(file())
    before = store.history()
    for chosen, kept in ((aliased(), THEIRS), (file(), {})):
        in_force = await start(chosen)
        assert (store.aliases.read(), store.history(), in_force.version) == (kept, before, file().version)
        assert aliases.by_strategy(store.in_force().configuration) == aliases.by_strategy(chosen)
        assert store.in_force().file == chosen


async def test_what_workers_fetch_says_nothing_of_an_alias(
    start: Start, client: redis.Redis, keys: LedgerKeys, store: ConfigurationStore
):
    await start(aliased())
    assert client.hget(keys.configurations, store.version()) == file().stored()


async def test_values_are_set_reset_and_rolled_back_by_alias(start: Start, store: ConfigurationStore):
    await start(aliased())
    set_(store, "momentum", notional=7.0)
    assert momentum(store.in_force().configuration) == {"notional": 7.0}
    store.rollback("", "", "ann")
    assert momentum(store.in_force().configuration) == {}
    set_(store, MOMENTUM, notional=8.0)
    store.reset("momentum.notional", "", "ann")
    assert momentum(store.in_force().configuration) == {}
    assert store.aliases.read() == THEIRS


async def test_a_redis_that_was_emptied_gets_the_aliases_back(
    start: Start, client: redis.Redis, keys: LedgerKeys, store: ConfigurationStore
):
    in_force = await start(aliased())
    client.delete(keys.configuration, keys.configurations)
    await in_force.refresh()
    assert store.aliases.read() == THEIRS


async def test_a_kill_needs_no_aliases(start: Start, client: redis.Redis, keys: LedgerKeys, store: ConfigurationStore):
    await start(aliased())
    client.hset(keys.configuration, "aliases", "{broken")
    set_(store, MOMENTUM, gate__killed=True)
    assert store.in_force().configuration.gate_of("trade", MOMENTUM).killed
