"""`python -m tasks strategies list --counts`, from a real ledger."""

from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.ledger import LedgerKeys
from tasks.settings import load


def test_a_strategys_counts_stand_beside_its_pools(
    redis_url: str, client: redis.Redis, keys: LedgerKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "strategies.toml"
    file.write_text('[pools.depth]\nkinds = ["depth"]\n[pools.depth.strategies.iceberg]\n')
    for name, value in {"REDIS_URL": redis_url, "NAMESPACE": keys.namespace, "STRATEGIES_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    load.cache_clear()
    counted: Any = {"signals:iceberg": 1_234, "strategy_held:iceberg:paused": 2, "strategy_held:iceberg:cool_down": 5}
    client.hset(keys.counters, mapping=counted | {"strategy_ns:iceberg": 9_000, "strategy_events:iceberg": 4})
    lines = CliRunner().invoke(app, ["strategies", "list", "--counts"]).output.splitlines()
    load.cache_clear()
    [line] = [line for line in lines if line.startswith("iceberg")]
    assert line.split() == ["iceberg", "depth", "1,234", "5", "cool_down,", "2", "paused", "0", "2.2", "-"]
    [line] = [line for line in lines if line.startswith("spread_liquidity")]
    assert line.split() == ["spread_liquidity", "none", "0", "0", "0", "-", "-"]
