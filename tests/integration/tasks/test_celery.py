"""Whatever Celery finds in the environment, its commands go to our broker, also where that is a socket."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import redis

from compose.local.processes import ROOT, Instance
from compose.local.servers import free_port, start_redis
from ingest.ledger import IngestLedger
from tasks.clients.redis_client import connect
from tasks.ops.doctor_probes import ask_queues, ask_redis
from tasks.protocol.routing import Pool
from tasks.settings import Settings
from tests.support.waiting import wait_for
from tests.support.workers.process import worker

#: Celery's names for what we call BROKER_URL and RESULT_URL; nobody listens there.
STRAY = {
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/15",
    "CELERY_BROKER_READ_URL": "redis://127.0.0.1:1/15",
    "CELERY_BROKER_WRITE_URL": "redis://127.0.0.1:1/15",
    "CELERY_RESULT_BACKEND": "rpc://",
}
NAMED = "CELERY_BROKER_URL and CELERY_BROKER_READ_URL and CELERY_BROKER_WRITE_URL (or Celery's command line): not used"
LAUNCHER = ["-m", "compose.celery_command"]
PASSWORD = "p@s:s/w%rd"  # noqa: S105 the test's own


class Servers(NamedTuple):
    tcp: str
    socket: str


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[Servers]:
    path = tmp_path_factory.mktemp("socket") / "re dis.sock"
    with Instance("socket") as instance:
        _, url = start_redis(instance, options=("--unixsocket", str(path)))
        with redis.Redis.from_url(url) as client:
            client.config_set("requirepass", PASSWORD)
        quoted = PASSWORD.replace("%", "%25").replace("@", "%40").replace(":", "%3A").replace("/", "%2F")
        login = f":{quoted}@"
        yield Servers(url.replace("//", f"//{login}"), f"unix://{login}{str(path).replace(' ', '%20')}?db=3")


@pytest.mark.parametrize("name", [pytest.param("tcp", marks=pytest.mark.slow), "socket"])
def test_a_worker_takes_tasks_from_our_broker_whatever_celery_finds(servers, namespace, name):
    settings = Settings(redis_url=getattr(servers, name), namespace=namespace)
    with worker(settings, **STRAY) as started:
        started.wait_ready()
        with connect(settings, settings.broker) as client:
            queue = f"{settings.celery_prefix}trade"
            task = {"body": "bnVsbA==", "properties": {"delivery_info": {}, "delivery_tag": "1"}, "headers": {}}
            task |= {"content-type": "text/plain", "content-encoding": "utf-8"}
            client.lpush(queue, json.dumps(task))
            wait_for(lambda: not client.llen(queue), "the task to be taken")
        assert started.log().count(NAMED) == 1
        assert started.log().count("CELERY_RESULT_BACKEND (or Celery's command line): not used; the result store") == 1
        assert PASSWORD not in started.log()


@pytest.mark.parametrize(
    ("command", "stray"),
    [
        (["-m", "celery", "-A", "tasks", "report"], STRAY),
        # As `./run celery` starts it, with our modules imported before Celery reads its command line.
        ([*LAUNCHER, "-b", "redis://127.0.0.1:1/15", "-A", "tasks", "report"], {}),
        ([*LAUNCHER, "-A", "tasks", "report"], STRAY),
        (["-m", "celery", "-b", "redis://127.0.0.1:1/15", "-A", "tasks", "report"], {}),
        (
            ["-m", "celery", "-A", "tasks", "report"],
            {"CELERY_BROKER": "redis://127.0.0.1:1/15", "RESULT_BACKEND": "rpc://"},
        ),
        # What would have Celery read another configuration, or load what is not there.
        (["-m", "celery", "-A", "tasks", "report"], STRAY | {"LOADER": "none", "CONFIG_MODULE": "none"}),
        (["-m", "celery", "-A", "tasks", "report"], STRAY | {"DJANGO_SETTINGS_MODULE": "none"}),
    ],
)
def test_each_celery_command_goes_to_our_broker_and_names_what_it_leaves(servers, command, stray):
    environment = os.environ | stray | {"REDIS_URL": servers.tcp, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    place = servers.tcp.rpartition("@")[2]
    for name in ("broker_url", "result_backend"):
        assert re.search(rf"^{name}: 'redis://:\**@{place}'$", ran.stdout, re.MULTILINE)
    assert "127.0.0.1:1/15" not in ran.stdout
    assert ran.stderr.count("the broker is that of BROKER_URL or REDIS_URL") == 1


@pytest.mark.parametrize("name", [pytest.param("tcp", marks=pytest.mark.slow), "socket"])
def test_flower_counts_what_waits_in_our_broker(servers, namespace, name):
    settings = Settings(redis_url=getattr(servers, name), namespace=namespace)
    with connect(settings, settings.broker) as client:
        client.lpush(f"{settings.celery_prefix}celery", "no", "body", "reads it")
    more = {"PYTHONPATH": str(ROOT), "REDIS_URL": settings.redis_url, "NAMESPACE": namespace}
    port = free_port()
    with Instance("flower") as instance:
        celery = [sys.executable, "-m", "celery", "-A", "tasks", "flower", f"--port={port}"]
        process = instance.start("flower", celery, os.environ | more | {"FLOWER_UNAUTHENTICATED_API": "1"} | STRAY)

        def lengths() -> list[dict[str, object]]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/queues/length", timeout=5) as answer:
                    found: list[dict[str, object]] = json.load(answer)["active_queues"]
                    return found
            except OSError:
                return []

        wait_for(lengths, f"Flower{process.tail()}")
        assert lengths() == [{"name": "celery", "messages": 3}]
        assert "the broker is that of BROKER_URL or REDIS_URL" in process.log.read_text()


@pytest.mark.parametrize("name", Servers._fields)
async def test_ingest_and_doctor_read_the_url_as_celery_does(servers, namespace, name):
    settings = Settings(redis_url=getattr(servers, name), namespace=namespace)
    assert not ask_redis(settings, settings.broker, ("broker",)).unavailable
    with connect(settings, settings.broker) as client:
        client.lpush(f"{settings.celery_prefix}depth", "no", "messages")
    facts = ask_queues(settings, [Pool("depth", ("depth",), "symbol", 1, frozenset())])
    assert facts.waiting["depth"] == 2

    ledger = IngestLedger(settings)
    try:
        assert await ledger.servers.broker.llen(f"{settings.celery_prefix}depth") == 2
    finally:
        await ledger.close()
