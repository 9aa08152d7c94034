"""What users of Redis with the rights of docs/security.md can do to a worker that has its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from tasks.ledger import LedgerKeys
from tasks.settings import Settings
from tasks.sweep import slice_task
from tasks.sweep.slice_run import BlockState
from tasks.sweep.slice_task import SliceRequest
from tests.support.files import sweeps
from tests.support.sending import celery_app
from tests.support.servers.nats_logins import SECRET
from tests.support.waiting import wait_for
from tests.support.workers import odd_entries
from tests.support.workers.process import Channels, Worker, running, worker
from tests.support.workers.unharmed import unharmed

KEYS = LedgerKeys("rs")
EXCHANGES = ("trade", "research", "celery", "celery.pidbox", "celeryev", "reply.celery.pidbox")
#: Between the parts of an entry in kombu's table of who is bound to an exchange.
SEPARATOR = "\x06\x16"


@pytest.fixture
def admin(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        client.flushall()
        yield client


def settings_of(url: str, role: str) -> Settings:
    return Settings(redis_url=url.replace("//", f"//rs-{role}:{SECRET}-{role}@"), namespace="rs")


@pytest.fixture
def one(url: str, admin: redis.Redis) -> Iterator[Worker]:
    with worker(settings_of(url, "worker"), "--pool", "prefork", "--concurrency", "1") as started:
        started.wait_ready()
        yield started


@pytest.mark.parametrize("role", ["flower", "research"])
def test_who_may_only_ask_workers_disturbs_no_lane(url: str, admin: redis.Redis, one: Worker, role: str):
    """Whatever is done to the tables of bindings and to the mutex that all clients of Celery share."""
    lanes, prefix = Channels(admin, Settings(redis_url=url, namespace="rs"), KEYS), "rs:celery:"
    with unharmed(one, lanes), redis.Redis.from_url(settings_of(url, role).redis_url) as user:
        user.set(f"{prefix}unacked_mutex", "mine")
        for exchange in EXCHANGES:
            table = f"{prefix}_kombu.binding.{exchange}"
            user.delete(table)
            for queue in ("trade", "elsewhere", f"{exchange}.{exchange}"):
                user.sadd(table, SEPARATOR.join((exchange, "", queue)), SEPARATOR.join(("", "", queue)), queue)
            user.zadd(f"{prefix}_kombu.binding_deadlines", {exchange: 0, "odd": 1e300})
        for message in odd_entries.control_messages():
            user.publish(f"{prefix}/0.celery.pidbox", message)
    assert not admin.exists(f"{prefix}elsewhere")


def test_flower_is_told_no_password_by_a_worker(
    url: str, admin: redis.Redis, one: Worker, monkeypatch: pytest.MonkeyPatch
):
    with celery_app(monkeypatch, settings_of(url, "flower")) as app:
        for name, arguments in (("stats", {}), ("conf", {"with_defaults": True}), ("report", {}), ("hello", {})):

            def ask(name: str = name, arguments: dict[str, Any] = arguments) -> Any:
                return app.control.broadcast(name, arguments=arguments, reply=True, timeout=10, limit=1)

            said = json.dumps(wait_for(ask, f"{name}{one.process.tail()}"), default=str)
            assert name == "hello" or "redis" in said, name
            assert SECRET not in said, name


def test_a_strategy_runs_with_all_that_its_worker_may_do(url: str, admin: redis.Redis, one: Worker):
    """Its author reads the worker's login, and so can do to Redis what the worker can."""
    strategies: dict[str, Any] = {"tests.support.workers.strategies:Curious": {}}
    lanes = Channels(admin, Settings(redis_url=url, namespace="rs"), KEYS, runs=running(strategies))
    lanes.run(1)
    signals: Any = admin.xrange(KEYS.signals, count=1)
    assert f"{SECRET}-worker" in json.loads(signals[0][1][b"signal"])["rationale"]


@pytest.fixture
def researching(url: str, admin: redis.Redis, tmp_path: Path) -> Iterator[Worker]:
    arguments = "--pool", "solo", "-Q", "trade,research"
    with worker(settings_of(url, "worker"), *arguments, RESEARCH_DIR=str(tmp_path)) as started:
        started.wait_ready()
        yield started


def test_a_slice_names_no_code_and_no_folder_of_its_own(
    url: str, admin: redis.Redis, researching: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whoever may send slices, and ask workers what they have, gets at neither."""
    key = sweeps.dataset(tmp_path, sweeps.prices()).key
    block = sweeps.blocks([sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods("calm"))[0]
    foreign = msgspec.structs.replace(block, strategy="antigravity:X")
    payload = slice_task.pack(SliceRequest(foreign, BlockState(), 0.5))
    answer = slice_task.answer_key("rs:celery:", slice_task.task_id(payload))
    with celery_app(monkeypatch, settings_of(url, "research")) as app:
        app.send_task("tasks.research", args=(payload,), queue="research", task_id="1", ignore_result=True)
        wait_for(lambda: admin.exists(answer), f"the answer{researching.process.tail()}")
        found: Any = admin.get(answer)
        assert "is in none of the folders for strategies" in slice_task.unpack_reply(found).refusal

        asked = [key, f"../data/{key}", "a\0b"]
        said: Any = app.control.broadcast("research", arguments={"datasets": asked}, reply=True, timeout=10, limit=1)
        assert [its["missing"] for its in said[0].values()] == [asked[1:]]
