"""The log of real processes."""

import json
import os
import sys
from typing import Any

import pytest
import redis

from compose.local.processes import ROOT, Instance, Process
from compose.local.servers import free_port
from tasks import configuration
from tasks.events import Position
from tasks.ledger import LedgerKeys
from tasks.protocol.batches import Batch, pack_event
from tasks.settings import Settings
from tests.support.events import trade
from tests.support.ledger import EPOCH, SOURCE, start_epoch
from tests.support.sending import send
from tests.support.service import ingest
from tests.support.stacks.strategies import POISON_ID
from tests.support.waiting import wait_for

RAISING = "tests.support.stacks.strategies:Raising"
CONFIGURATION, NOT_HERE = (
    configuration.check({"pools": {"trade": {"kinds": ["trade"], "strategies": {name: {}}}}}, "the test's file")
    for name in (RAISING, "tests.not_here:Gone")
)


def lines(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]


def start_worker(instance: Instance, pool: str, **environment: str) -> Process:
    command = [sys.executable, "-m", "celery", "-q", "-A", "tasks", "worker", "-Q", "trade", "--pool", pool]
    fixed = {"PYTHONPATH": str(ROOT), "LOG_FORMAT": "json", "WORKER_HTTP_PORT": "0"}
    return instance.start("worker", [*command, "--concurrency", "1"], os.environ | fixed | environment)


def send_one(settings: Settings, version: str, seq: int) -> str:
    event = pack_event(trade(id=POISON_ID, seq=seq))
    sent = Batch("trade", 0, 0, EPOCH, None, Position(SOURCE, seq), version, (event,))
    send(settings, [sent])
    return sent.task_id


@pytest.mark.parametrize("pool", ["prefork", pytest.param("solo", marks=pytest.mark.slow)])
def test_a_worker_logs_strategy_errors_with_lane_and_failed_runs_with_task(
    client: redis.Redis, keys: LedgerKeys, settings: Settings, pool: str
):
    start_epoch(client, keys)
    for each in (CONFIGURATION, NOT_HERE):
        client.hset(keys.configurations, each.version, each.canonical())
    with Instance("logs") as instance:
        worker = start_worker(instance, pool, REDIS_URL=settings.redis_url, NAMESPACE=keys.namespace)
        raised = send_one(settings, CONFIGURATION.version, 1)
        failed = send_one(settings, NOT_HERE.version, 2)

        wait_for(lambda: [line for line in lines(worker) if line["level"] == "error"], "the failure's line")
        everything = lines(worker)
    [warning] = [line for line in everything if line["event"] == "a strategy raised"]
    assert warning.items() >= {
        "role": "worker", "lane": "trade-0", "task_id": raised, "strategy": "raising", "symbol": "BTCUSDT",
        "event_id": POISON_ID, "error": "ArithmeticError: thirteen",
    }.items()  # fmt: skip
    [error] = [line for line in everything if line["level"] == "error"]
    assert error.items() >= {"role": "worker", "task_id": failed, "logger": "celery.app.trace"}.items()
    assert error["exception"][0]["exc_type"] == "SettingsError"
    assert not [line for line in everything if line["level"] == "info" and "task_id" in line]


def test_passwords_of_unavailable_servers_are_in_no_log(namespace: str):
    nowhere = f"127.0.0.1:{free_port()}"
    redis_url, nats_url = f"redis://me:geheim@{nowhere}/0", f"nats://me:geheim@{nowhere}"
    with Instance("logs") as instance, ingest(nats_url, redis_url, namespace, LOG_LEVEL="DEBUG") as service:
        worker = start_worker(instance, "solo", REDIS_URL=redis_url, NAMESPACE=namespace, LOG_LEVEL="DEBUG")
        wait_for(lambda: service.logged("connection lost, retrying"), f"ingest's warning{service.process.tail()}")
        wait_for(lambda: "connection lost, retrying" in worker.log.read_text(), f"the worker's warning{worker.tail()}")
        texts = [service.process.log.read_text(), worker.log.read_text()]
    assert all("geheim" not in text and "***@" in text for text in texts)


def test_what_ingest_says_of_settings_before_it_runs_is_its_own(instance: Instance):
    given = {"CELERY_BROKER_URL": "redis://elsewhere", "STRATEGIES_FILE": "/nowhere", "LOG_FORMAT": "json"}
    process = instance.start("ingest", [sys.executable, "-m", "ingest"], os.environ | {"PYTHONPATH": str(ROOT)} | given)
    wait_for(lambda: process.returncode is not None)
    told = [(line["event"], line["role"]) for line in lines(process)]
    assert told == [("settings", "ingest"), ("can't start", "ingest")]
