"""Anybody on the port of ingest or of a worker, against real processes: they live, stay small, and answer others."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import NamedTuple

import psutil
import pytest
import redis

from compose.local.processes import Instance
from compose.local.servers import start_nats
from tasks.settings import Settings
from tests.support.sending import one_pool
from tests.support.servers.http_mischief import attack
from tests.support.service import get, ingest
from tests.support.waiting import wait_for
from tests.support.workers.process import worker

MOST_GROWTH_BYTES = 50 * 2**20
MOST_LOG_LINES = 20


class Server(NamedTuple):
    """A process with HTTP endpoints."""

    process: psutil.Process
    port: int
    log: Path

    def is_ready(self) -> bool:
        return get(self.port, "/ready")[0] == 200

    def log_lines(self) -> int:
        return len(self.log.read_text().splitlines())


@contextmanager
def _ingest(nats_url: str, redis_url: str, namespace: str, folder: Path) -> Iterator[Server]:
    with ingest(nats_url, redis_url, namespace, STRATEGIES_FILE=one_pool(folder)) as one:
        one.wait_ready()
        yield Server(psutil.Process(one.process.pid), one.port, one.process.log)


@contextmanager
def _worker(nats_url: str, redis_url: str, namespace: str, _: Path) -> Iterator[Server]:
    settings = Settings(nats_url=nats_url, redis_url=redis_url, namespace=namespace)
    with worker(settings, "--pool", "prefork", "--concurrency", "1") as one:
        one.wait_ready()
        yield Server(psutil.Process(one.process.pid), one.port, one.process.log)


@pytest.fixture(params=[pytest.param(_ingest, id="ingest"), pytest.param(_worker, id="worker", marks=pytest.mark.ci)])
def server(request, nats_url: str, redis_url: str, namespace: str, tmp_path: Path) -> Iterator[Server]:
    with request.param(nats_url, redis_url, namespace, tmp_path) as one:
        yield one


@contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """Fail if the block ended the process, made it grow or log much, or left it deaf."""
    before, lines = server.process.memory_info().rss, server.log_lines()
    peak = before
    with ThreadPoolExecutor() as threads, ExitStack() as ended:
        over = Event()
        ended.callback(over.set)

        def watch() -> int:
            most = before
            while not over.is_set():
                most = max(most, server.process.memory_info().rss)
                over.wait(0.02)
            return most

        watching = threads.submit(watch)
        yield
        ended.close()
        peak = watching.result()
    print(f"grew by {(peak - before) / 2**20:.1f} MiB, logged {server.log_lines() - lines} lines")
    assert peak - before < MOST_GROWTH_BYTES
    assert server.log_lines() - lines <= MOST_LOG_LINES
    wait_for(server.is_ready, "it to answer others")


def test_six_posts_of_95_mb_take_no_memory(server: Server):
    def post(_: int) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(b"POST /ready HTTP/1.1\r\nHost: localhost\r\nContent-Length: 95000000\r\n\r\n")
            for _ in range(95):
                connection.sendall(bytes(1_000_000))

    with unharmed(server), ThreadPoolExecutor(6) as threads:
        list(threads.map(post, range(6)))


def _fuzz(server: Server, seconds: float) -> None:
    ends_s = time.monotonic() + seconds
    with unharmed(server), ThreadPoolExecutor(3) as threads:
        sent = list(threads.map(lambda seed: attack(server.port, seed, lambda: time.monotonic() < ends_s), range(3)))
    print(f"{sum(sent)} requests")
    assert min(sent) > 0


def test_requests_made_to_do_harm_do_none(server: Server):
    _fuzz(server, 2)


@pytest.mark.slow
def test_requests_made_to_do_harm_do_none_for_a_minute(server: Server):
    _fuzz(server, 60)


@contextmanager
def out_of_descriptors(server: Server) -> Iterator[None]:
    """Have a client take all descriptors of the process that are left, for as long as the block runs."""
    soft, hard = server.process.rlimit(psutil.RLIMIT_NOFILE)
    with ExitStack() as stack:
        server.process.rlimit(psutil.RLIMIT_NOFILE, (server.process.num_fds() + 12, hard))
        stack.callback(server.process.rlimit, psutil.RLIMIT_NOFILE, (soft, hard))
        for _ in range(200):
            each = stack.enter_context(socket.socket())
            each.settimeout(0.1)
            with suppress(OSError):
                each.connect(("127.0.0.1", server.port))
        wait_for(lambda: "HTTP accepts no connections for now" in server.log.read_text(), "accepting to pause")
        yield
    assert server.log.read_text().count("HTTP accepts no connections for now") == 1


def test_used_up_descriptors_keep_no_process_from_redis(server: Server, redis_url: str):
    """A client connects as often as it can, while the server's own connections are lost."""
    with unharmed(server), redis.Redis.from_url(redis_url) as client, out_of_descriptors(server):
        ours = _clients(client, server)
        assert ours
        for each_id in ours:
            client.client_kill_filter(_id=each_id)
        wait_for(lambda: _clients(client, server) - ours, "its connections to be back")


def test_used_up_descriptors_do_not_keep_ingest_from_nats(redis_url: str, namespace: str, tmp_path: Path):
    with Instance("nats") as instance:
        process, url = start_nats(instance)
        with _ingest(url, redis_url, namespace, tmp_path) as server, unharmed(server), out_of_descriptors(server):
            instance.stop(process)
            start_nats(instance, "nats-again", port=int(url.rpartition(":")[2]))
            wait_for(lambda: len(_nats_connected(server)) == 2, f"NATS to be back{server.log.read_text()[-3_000:]}")


def _nats_connected(server: Server) -> list[str]:
    return [line for line in server.log.read_text().splitlines() if '"connected"' in line and '"nats"' in line]


def _clients(client: redis.Redis, server: Server) -> set[str]:
    """Return the ids of that process's connections to Redis."""
    ports = {each.laddr.port for each in server.process.net_connections() if each.raddr}
    return {each["id"] for each in client.client_list() if int(each["addr"].rpartition(":")[2]) in ports}
