"""What a worker says over HTTP, whatever is unavailable, and what becomes of tasks that are not ours."""

import http.client
import json
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from compose.local.processes import Instance
from compose.local.servers import free_port, start_redis
from tasks.ledger import heartbeats
from tasks.settings import Settings
from tests.support.sending import celery_app
from tests.support.waiting import HANGS_S, wait_for
from tests.support.workers.process import Worker, worker

PREFORK = ("--pool", "prefork", "--concurrency", "2")


def test_a_worker_without_redis_is_alive_but_not_ready_until_it_is_back(namespace: str):
    """Meanwhile it names the parts that are missing."""
    with Instance("redis") as instance:
        process, url = start_redis(instance)
        with worker(Settings(redis_url=url, namespace=namespace), *PREFORK) as one:
            one.wait_ready()
            ready = one.said()
            parts = ("broker", "redis", "pool", "heartbeat")
            assert ready.items() >= {**dict.fromkeys(parts, True), "ok": True, "processes": 2, "port": one.port}.items()
            instance.stop(process)
            wait_for(lambda: one.said()["broker"] is one.said()["redis"] is False, "/ready to name Redis")
            gone_s = time.monotonic()
            assert one.said().items() >= {"status": 503, "ok": False, "pool": True, "processes": 2}.items()
            assert one.samples()["worker_broker_up",] == 0
            # Longer than it pauses between attempts: it says that it lives meanwhile.
            wait_for(lambda: time.monotonic() - gone_s > 4)
            assert one.said("/healthz").items() >= {"status": 200, "ok": True}.items()
            # It has beaten since.
            assert one.said("/healthz")["heartbeat_age_s"] < time.monotonic() - gone_s
            start_redis(instance, "redis-again", port=int(url.rpartition(":")[2].partition("/")[0]))
            wait_for(one.is_ready, "the worker to be ready again")
            assert one.samples()["worker_broker_up",] == 1
            assert len(logged(one, "connection lost, retrying")) == 1


@pytest.fixture(scope="module")
def shared(redis_url: str) -> Iterator[Worker]:
    """Yield a worker that is well; for tests that leave it so."""
    with worker(Settings(redis_url=redis_url, namespace=f"t{uuid.uuid4().hex[:12]}"), *PREFORK) as one:
        one.wait_ready()
        yield one


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/nothing", 404, "404 Not Found\n"),
        ("POST", "/ready", 405, "405 Method Not Allowed\n"),
        ("PUT", "/metrics", 405, "405 Method Not Allowed\n"),
        ("DELETE", "/nothing", 405, "405 Method Not Allowed\n"),
        ("HEAD", "/metrics", 200, ""),
    ],
)
def test_only_get_and_head_are_answered_and_errors_name_no_server(shared: Worker, method, path, status, said):
    """An error is one line."""
    with closing(http.client.HTTPConnection("127.0.0.1", shared.port, timeout=2)) as connection:
        connection.request(method, path, body=b"{}" if method == "POST" else None)
        answer = connection.getresponse()
        assert (answer.status, answer.read().decode(), answer.getheader("Server")) == (status, said, None)


def test_the_children_hold_no_socket_of_the_endpoints(shared: Worker):
    def ports(process: psutil.Process) -> set[int]:
        return {each.laddr.port for each in process.net_connections() if each.status == psutil.CONN_LISTEN}

    main = psutil.Process(shared.process.pid)
    assert ports(main) == {shared.port}
    assert [ports(child) for child in main.children()] == [set(), set()]


def test_tasks_that_are_not_ours_are_refused_and_counted(monkeypatch, shared: Worker):
    with celery_app(monkeypatch, shared.settings) as app:
        app.send_task("somebody.elses", (), queue="trade")
        app.send_task("tasks.process", (b"junk",), queue="trade")
        app.send_task("tasks.process", ("text",), queue="trade")
        app.send_task("tasks.process", (), queue="trade", serializer="yaml")
        app.send_task("tasks.process", (), queue="trade", serializer="pickle")
        app.send_task("tasks.process", (bytes(3_000_000),), queue="trade")
        wait_for(lambda: shared.samples()["worker_foreign_tasks_total",] == 6, f"six{shared.process.tail()}")
        assert shared.is_ready()


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port that is in use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_gives_way_to_a_free_one_which_is_logged_and_said(settings, taken):
    with worker(settings, WORKER_HTTP_PORT=str(taken)) as one:
        [line] = wait_for(lambda: logged(one, "the HTTP port is taken: using a free one"))
        one.port = line["port"]
        one.wait_ready()
        assert one.said()["port"] == one.port != taken


def test_a_taken_port_is_one_clear_error_when_it_must_not_be(settings, taken):
    with worker(settings, WORKER_HTTP_PORT=str(taken), METRICS_STRICT_PORT="1") as one:
        assert one.wait_end() == 1
        [line] = logged(one, "can't start")
        assert line["why"] == f"WORKER_HTTP_PORT: 127.0.0.1:{taken} is taken, and METRICS_STRICT_PORT is set"
        assert "Traceback" not in one.log()


def test_a_pool_in_which_a_run_could_not_be_ended_is_refused(settings):
    with worker(settings, "--pool", "threads") as one:
        assert one.wait_end() == 1
        [line] = logged(one, "can't start")
        assert line["why"] == "--pool threads: a run that hangs could not be ended there; use prefork or solo"
        assert "Traceback" not in one.log()


def logged(worker: Worker, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in worker.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@pytest.mark.slow
def test_a_main_loop_that_hangs_is_told_by_healthz_alone(settings, tmp_path: Path):
    file = tmp_path / "hang"
    with worker(settings, "--pool", "solo", RUN_LIMIT_S="1", HANG_FILE=str(file)) as one:
        one.instance.stop(one.process)
        command = [part.replace("tasks", "tests.support.workers.hanging") for part in one.process.command]
        again = one.instance.start("hanging", command, one.process.environment)
        one.process = again
        one.wait_ready()
        file.touch()
        wait_for(lambda: one.said("/healthz")["status"] == 503, "/healthz to say no")
        assert one.said("/healthz")["heartbeat_age_s"] > 40
        assert one.said().items() >= {"status": 503, "heartbeat": False, "broker": True, "redis": True}.items()
        file.unlink()
        wait_for(one.is_ready, "the worker to be ready again")


@pytest.mark.slow
def test_a_redis_that_hangs_does_not_make_a_worker_look_dead(namespace: str):
    with Instance("redis") as instance:
        process, url = start_redis(instance)
        with worker(Settings(redis_url=url, namespace=namespace), *PREFORK, RUN_LIMIT_S="1") as one:
            one.wait_ready()
            process.send(signal.SIGSTOP)
            stopped_s = time.monotonic()
            wait_for(lambda: one.said()["redis"] is False, "/ready to name Redis")
            oldest_s = 0.0
            while time.monotonic() - stopped_s < 60:
                said = one.said("/healthz")
                assert said["status"] == 200
                oldest_s = max(oldest_s, said["heartbeat_age_s"])
            print(f"the heartbeat was {oldest_s:.1f} s old at most")
            process.send(signal.SIGCONT)
            wait_for(one.is_ready, "the worker to be ready again")


def test_a_stopped_worker_leaves_no_port_no_files_and_no_entry(client, keys, settings, tmp_path: Path):
    with worker(settings, *PREFORK, TMPDIR=str(tmp_path)) as one:
        [seen] = wait_for(lambda: heartbeats.read(client, keys), f"the worker{one.process.tail()}")
        name = f"worker-1@test/{one.process.pid}"
        assert (seen.name, seen.queues, seen.processes) == (name, ["trade", f"worker.{name}"], 2)
        assert abs(seen.clock_ahead_s) < HANGS_S
        assert len(list(tmp_path.glob("realtime-strategies-*"))) == 1
        one.process.terminate()
        assert one.wait_end() == 0
        assert client.hgetall(keys.workers) == {}
        assert list(tmp_path.glob("realtime-strategies-*")) == []
        assert free_port(one.port) == one.port
