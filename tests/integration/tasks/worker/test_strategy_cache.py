"""Which strategies a worker takes from the ledger."""

import pytest
import redis

from tasks.configuration import Configuration
from tasks.errors import LedgerError, SettingsError
from tasks.ledger import Ledger, LedgerKeys
from tasks.settings import Settings
from tasks.worker.strategy_cache import StrategyCache


def stored(client: redis.Redis, keys: LedgerKeys, strategy: str) -> Configuration:
    pools = {"trade": {"kinds": ["trade"], "strategies": {strategy: {}}}}
    configuration = Configuration.model_validate({"pools": pools})
    client.hset(keys.configurations, configuration.version, configuration.stored().decode())
    return configuration


def test_a_configuration_is_found_by_its_version(client: redis.Redis, keys: LedgerKeys, ledger: Ledger):
    version = stored(client, keys, "trade_momentum").version
    [found] = StrategyCache().find(ledger, version, "trade")
    assert found.name == "trade_momentum"


def test_one_that_was_changed_in_redis_is_not_run(client: redis.Redis, keys: LedgerKeys, ledger: Ledger):
    version, other = (stored(client, keys, name).version for name in ("trade_momentum", "price_velocity"))
    client.hset(keys.configurations, version, client.hget(keys.configurations, other) or b"")
    with pytest.raises(LedgerError, match=f"configuration {version} was changed: its content is that of {other}"):
        StrategyCache().find(ledger, version, "trade")


@pytest.mark.parametrize("strategy", ["antigravity:X", "subprocess:Popen", "http.server:HTTPServer"])
def test_no_module_is_imported_because_redis_names_it(
    client: redis.Redis, keys: LedgerKeys, ledger: Ledger, strategy: str
):
    version = stored(client, keys, strategy).version
    with pytest.raises(SettingsError, match="is in none of the folders for strategies"):
        StrategyCache().find(ledger, version, "trade")


def test_shards_with_ledgers_of_their_own_share_what_the_first_has(client: redis.Redis, keys: LedgerKeys, redis_url):
    """Whichever shard's batch comes next, what the first ledger has lost is written back there."""
    urls = f"{redis_url} {redis_url.removesuffix('/0')}/1"
    settings = Settings(ledger_urls=urls, nats_partitions=2, namespace=keys.namespace)
    version = stored(client, keys, "trade_momentum").version
    first, cache = Ledger.connect(settings), StrategyCache(restore_s=0.0)
    assert cache.find(first.of_shard(settings, 1), version, "trade")
    client.delete(keys.configurations)
    assert cache.find(first, version, "trade")
    assert client.hexists(keys.configurations, version)


def test_without_ledgers_of_their_own_all_shards_have_one_connection(redis_url: str):
    settings = Settings(redis_url=redis_url)
    ledger = Ledger.connect(settings)
    assert ledger.of_shard(settings, 3) is ledger
