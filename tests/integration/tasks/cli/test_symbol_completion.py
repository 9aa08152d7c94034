from pathlib import Path

import pytest
import redis

from tasks.cli import name_completion
from tasks.ledger import LedgerKeys
from tasks.settings import load
from tests.support.waiting import wait_for


def test_symbols_of_the_ledger_are_offered(
    redis_url: str, client: redis.Redis, keys: LedgerKeys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("NAMESPACE", keys.namespace)
    load.cache_clear()
    for symbol in ("BTCUSDT", "BNBUSDT", "ETHUSDT"):
        client.hset(keys.pool("trade"), f"record:spot:{symbol}:trade", b"")
    assert sorted(name_completion.within(60, name_completion.known_symbols)) == ["BNBUSDT", "BTCUSDT", "ETHUSDT"]
    load.cache_clear()


def test_ones_own_strategy_is_offered_by_alias_and_once_it_ran_by_name(
    redis_url: str, client: redis.Redis, keys: LedgerKeys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    file = tmp_path / "strategies.toml"
    file.write_text('[pools.trade.strategies."dip_buyer:DipBuyer"]\nalias = "dipper"\n')
    for name, value in {"REDIS_URL": redis_url, "NAMESPACE": keys.namespace, "STRATEGIES_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    load.cache_clear()
    assert name_completion.strategies("dip") == ["dipper"]
    client.hset(keys.counters, "strategy_events:dip_buyer", 7)
    # What takes long is not waited for.
    wait_for(lambda: name_completion.strategies("dip") == ["dip_buyer", "dipper"], "the name")
    load.cache_clear()
