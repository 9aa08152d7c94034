"""Celery's remote control, used on a real worker by somebody who means no good: every lane goes on."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from celery import Celery

from tasks.ledger import LedgerKeys, heartbeats
from tasks.protocol import findings
from tasks.settings import Settings
from tests.support.sending import Rig, begun, celery_app
from tests.support.waiting import wait_for
from tests.support.workers.process import Channels, Worker, worker

POOLS = {
    "solo": ("--pool", "solo"),
    "prefork": ("--pool", "prefork", "--concurrency", "2"),
}


@contextmanager
def commanded(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, pool: str = "prefork"
) -> Iterator[tuple[Worker, Celery]]:
    """Start a worker; return it, and what commands it."""
    with worker(settings, *POOLS[pool]) as one, celery_app(monkeypatch, settings) as app:
        one.wait_ready()
        yield one, app


def command(app: Celery, name: str, **arguments: Any) -> dict[str, str]:
    """Send a control command as Flower does; return the worker's answer."""
    answers: Any = app.control.broadcast(name, arguments=arguments, reply=True, timeout=10, limit=1)
    [answer] = answers
    [said] = answer.values()
    return dict(said)


each_pool = pytest.mark.parametrize("pool", ["prefork", pytest.param("solo", marks=pytest.mark.slow)])
DANGEROUS: list[tuple[str, dict[str, Any]]] = [
    ("rate_limit", {"task_name": "tasks.process", "rate_limit": "1/h"}),
    ("time_limit", {"task_name": "tasks.process", "soft": 0.001, "hard": 0.001}),
    ("cancel_consumer", {"queue": "trade"}),
    ("add_consumer", {"queue": "_kombu.binding.celeryev"}),
    ("pool_shrink", {"n": 2}),
    ("pool_shrink", {"n": -1}),
    ("pool_grow", {"n": "many"}),
    ("autoscale", {"max": 0}),
]


@each_pool
def test_control_commands_that_could_stop_a_lane_are_refused(
    monkeypatch: pytest.MonkeyPatch, client: redis.Redis, keys: LedgerKeys, settings: Settings, pool: str
):
    with commanded(monkeypatch, settings, pool) as (one, app):
        channels = Channels(client, settings, keys)
        for name, arguments in DANGEROUS:
            assert command(app, name, **arguments)["error"].startswith("refused: "), name
        # It is written every few seconds, also between two commands.
        [seen] = wait_for(lambda: [each for each in heartbeats.read(client, keys) if "autoscale" in each.refused])
        [finding] = findings.refusals([(seen.name, seen.refused)])
        assert (finding.name, finding.what) == ("command_refused", f"worker {seen.name}")
        assert "autoscale" in finding.says
        # Two rounds, because what limits a rate lets the first task pass.
        channels.run(2)
        assert one.samples()["worker_refused_commands_total", "pool_shrink"] == 2
        assert one.log().count('"event": "refused a control command"') == len(DANGEROUS)
        assert "Traceback" not in one.log()


def test_a_worker_grows_and_shrinks_by_control_command(monkeypatch: pytest.MonkeyPatch, settings: Settings):
    with commanded(monkeypatch, settings) as (one, app):
        assert "ok" in command(app, "pool_grow", n=1)
        wait_for(lambda: one.said()["processes"] == 3, "the third process")
        assert "ok" in command(app, "pool_shrink", n=2)
        wait_for(lambda: one.said()["processes"] == 1, "two processes to leave")
        assert "error" in command(app, "pool_shrink")


@each_pool
async def test_a_batch_whose_task_was_revoked_is_sent_again_and_committed(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, pool: str
):
    async with begun(Rig(settings)) as rig:
        with commanded(monkeypatch, settings, pool) as (one, app):
            epoch = rig.sender.epoch
            [lane] = rig.lanes.router.lanes_of("spot", "BTCUSDT", "trade")
            revoked = f"{lane}-{epoch}-1"
            await asyncio.to_thread(command, app, "revoke", task_id=[revoked])
            await rig.ledger.lease.renew()  # starting the worker took its time
            rig.offer()
            await rig.until(lambda: rig.counters.totals.of("committed"), looking=True)
            assert f"Discarding revoked task: tasks.process[{revoked}]" in one.log()
            assert rig.counters.totals.of("resends") >= 1
