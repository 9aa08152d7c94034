import pytest
import redis

from tasks.cli import name_completion
from tasks.ledger import LedgerKeys
from tasks.settings import load


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
