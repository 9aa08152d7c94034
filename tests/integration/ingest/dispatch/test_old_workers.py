"""Workers of an older version beside a new ingest: a kind of event that they can't read is never sent to them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import redis

from tasks.ledger.keys import LedgerKeys
from tests.support.frames.wire import enveloped
from tests.support.service import ingest, publish
from tests.support.waiting import wait_for

POOLS = """
[pools.candles]
kinds = ["kline"]
[pools.candles.strategies."tests.support.workers.quiet_strategies:Candles"]

[pools.trade]
kinds = ["trade"]
[pools.trade.strategies.trade_momentum]
"""
KLINE: dict[str, Any] = {
    "e": "kline", "E": 1672515782136, "s": "BTCUSDT",
    "k": {
        "t": 1672515720000, "T": 1672515779999, "i": "1m", "o": "1", "c": "2", "h": "2", "l": "1", "v": "1", "n": 1,
        "x": True, "q": "1", "V": "1",
    },
}  # fmt: skip
QUEUES = ["candles", "trade"]


def heartbeat(client: redis.Redis, key: str, name: str, **more: Any) -> None:
    """Write down a worker that lives for the whole test; one of an older version says nothing of kinds."""
    seconds, _ = client.time()
    entry = {"seen_s": seconds + 3600, "clock_ms": seconds * 1000, "queues": QUEUES, "processes": 1, "version": "1"}
    client.hset(key, name, json.dumps(entry | more))


def test_a_kind_is_held_until_no_old_worker_is_left(nats_url, redis_url, namespace, tmp_path: Path):
    (tmp_path / "strategies.toml").write_text(POOLS)
    keys = LedgerKeys(namespace)
    with redis.Redis.from_url(redis_url) as client:
        heartbeat(client, keys.workers, "old@a/1")
        heartbeat(client, keys.workers, "new@a/2", kinds=["depth", "trade", "kline"])
        with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=str(tmp_path / "strategies.toml")) as service:
            service.wait_ready()

            def found() -> set[tuple[str, str]]:
                return {(each["name"], each["says"]) for each in json.loads(service.get("/ready")[1])["findings"]}

            publish_kline(nats_url, namespace)
            wait_for(lambda: json.loads(service.get("/ready")[1])["held_events"] == 1, "the candle to wait")
            says = "its events wait in ingest: the configuration has kline, which old@a/1 can't read"
            wait_for(lambda: ("workers_too_old", says) in found(), "the finding")
            queue = f"{namespace}:celery:candles"
            assert client.llen(queue) == 0

            client.hdel(keys.workers, "old@a/1")
            wait_for(lambda: client.llen(queue) == 1, "the task of the candle")
            wait_for(lambda: not any(name == "workers_too_old" for name, _ in found()), "the finding to be over")


def publish_kline(nats_url: str, namespace: str) -> None:
    asyncio.run(publish(nats_url, (f"{namespace}.x", enveloped("btcusdt@kline_1m", KLINE, venue="spot"))))
