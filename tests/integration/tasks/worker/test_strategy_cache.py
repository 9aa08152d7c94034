"""Which strategies a worker takes from the ledger."""

import pytest
import redis

from tasks.configuration import Configuration
from tasks.errors import LedgerError, SettingsError
from tasks.ledger import Ledger, LedgerKeys
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
