import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nats
import psutil
import pytest
import redis

from compose.local import processes
from compose.local.processes import ROOT, Instance, LocalStackError, Process, next_pause_s
from compose.local.servers import free_port, start_nats, start_redis
from compose.local.stack import Plan, Stack, strategies_file, to_toml
from tasks import configuration
from tests.support.waiting import wait_for

# A process with a child of its own; both ignore SIGTERM.
STUBBORN = ("sh", "-c", "trap '' TERM; sleep 1000 & echo child $!; wait; sleep 1000")


def runs(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def child_of(log: Path) -> int:
    return int(wait_for(lambda: re.findall(r"child (\d+)\n", log.read_text()), "the child's pid")[0])


@pytest.fixture
def instance(tmp_path):
    with Instance("test", tmp_path) as instance:
        yield instance


def test_servers_that_start_at_the_same_time_do_not_meet(instance):
    with ThreadPoolExecutor() as pool:
        redis_urls = pool.map(lambda number: start_redis(instance, f"redis-{number}")[1], range(4))
        nats_urls = pool.map(lambda number: start_nats(instance, f"nats-{number}")[1], range(4))
        urls = [*redis_urls, *nats_urls]
    assert len(set(urls)) == 8


def test_a_free_port_is_given_once():
    assert len({free_port() for _ in range(1000)}) == 1000


def test_a_server_can_listen_on_a_free_port(instance):
    port = free_port()
    _, url = start_redis(instance, port=port)
    with redis.Redis.from_url(url) as client:
        assert client.ping()


def test_a_worker_that_ends_after_it_was_ready_is_started_again(instance):
    stack = Stack(instance, Plan(workers=1))
    stack.wait_until_ready()
    [worker] = stack.workers
    stack.wait_until_workers_are_known()
    worker.send(signal.SIGTERM)
    wait_for(lambda: worker.returncode is not None and not stack.known_workers(), "ingest to know it")

    stack.wait_until_workers_are_known()
    assert (worker.starts, stack.known_workers()) == (2, 1)


def test_a_redis_server_is_empty_and_never_evicts(instance):
    _, url = start_redis(instance)
    with redis.Redis.from_url(url) as client:
        assert client.dbsize() == 0
        assert client.config_get("maxmemory-policy", "save") == {"maxmemory-policy": "noeviction", "save": ""}


async def _ping(url: str) -> bool:
    client = await nats.connect(url)
    await client.flush()
    await client.close()
    return True


async def test_a_nats_server_answers_where_its_url_says(instance):
    _, url = start_nats(instance)
    assert await _ping(url)


def test_a_redis_server_that_finds_its_port_taken_says_so(instance):
    """It is not mistaken for the server that holds the port."""
    _, url = start_redis(instance)
    port = int(url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(LocalStackError, match="Address already in use"):
        start_redis(instance, "second", port)


def test_a_server_can_start_again_on_its_old_port(instance):
    first, url = start_redis(instance)
    port = int(url.rpartition(":")[2].partition("/")[0])
    instance.kill(first)
    assert start_redis(instance, port=port)[1] == url


def test_nothing_is_left_after_the_with(tmp_path):
    with Instance("test", tmp_path) as instance:
        process = instance.start("stubborn", STUBBORN)
        pids = [process.pid, child_of(process.log)]
        assert all(map(runs, pids))
    # They were killed; a machine with much else to do takes a moment to end them.
    wait_for(lambda: not any(map(runs, pids)), "the killed processes to be gone")
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_a_signal_cut_short_does_not_hold_up_the_end(tmp_path):
    instance = Instance("cut", tmp_path)
    command = ["sleep", "60"]
    instance.processes.append(Process("never", command, os.environ, tmp_path / "never.log", restart=False))
    # The child is there and known to the reaper, but the parent never got to note it.
    child = subprocess.Popen([*processes._REGISTERED, *command], stdin=instance._pipe, start_new_session=True)
    instance.close()
    assert child.wait() is not None


def test_nothing_is_left_after_kill_9_of_the_parent(tmp_path):
    script = (
        "import sys; from pathlib import Path; from compose.local.processes import Instance\n"
        "instance = Instance('test', Path(sys.argv[1]))\n"
        f"for name in ('a', 'b'): print(instance.start(name, {STUBBORN!r}).pid)\n"
        "print(instance.directory, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        *pids, directory = [line.strip() for line in itertools.islice(parent.stdout, 3)]
        groups = [int(pid) for pid in pids] + [child_of(Path(directory) / f"{name}.log") for name in "ab"]
        assert all(map(runs, groups))
        parent.kill()
    wait_for(lambda: not any(map(runs, groups)), "the processes to end")
    wait_for(lambda: not Path(directory).exists(), "the directory to go")


def test_a_process_that_ends_unasked_is_started_again_without_its_orphans(instance):
    process = instance.start("worker", STUBBORN, restart=True)
    first, orphan = process.pid, child_of(process.log)
    os.kill(first, signal.SIGKILL)
    said = wait_for(instance.watch, "the end to be noticed")
    assert said == ["worker was ended by SIGKILL and is started again"]
    wait_for(lambda: not instance.watch() and process.starts == 2, "the second start")
    assert process.pid != first
    assert process.returncode is None
    wait_for(lambda: not runs(orphan), "the orphan to end")


def test_the_number_of_a_process_stands_beside_its_log_after_each_start(instance):
    process = instance.start("it", ["sleep", "60"], restart=True)
    file = instance.directory / "it.pid"
    first = int(file.read_text())
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: instance.watch() is not None and process.starts == 2, "its second start")
    assert first != int(file.read_text()) == process.pid


def test_a_process_that_must_not_end_fails_the_stack_with_its_logs_end(instance):
    instance.start("ingest", ["sh", "-c", "echo the reason; exit 3"])
    with pytest.raises(LocalStackError, match=r"ingest ended with status 3; its log ends with:\n  the reason"):
        wait_for(instance.watch)


def test_a_stopped_process_is_not_started_again(instance):
    process = instance.start("worker", ["sleep", "1000"], restart=True)
    instance.stop(process)
    assert instance.watch() == []
    assert process.returncode == -signal.SIGTERM


def test_stop_makes_those_end_that_do_not_want_to(instance):
    process = instance.start("stubborn", STUBBORN)
    child = child_of(process.log)
    instance.stop(process, grace_s=0.1)
    assert process.returncode == -signal.SIGKILL
    wait_for(lambda: not runs(child), "the child to end")


def test_pauses_double_while_a_process_ends_at_once_and_reset_after_a_run():
    pauses = [pause := 0.0] + [pause := next_pause_s(1, pause) for _ in range(7)]
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert next_pause_s(5.0, 10.0) == 0.0


def test_the_number_of_partitions_leaves_the_rest_of_the_file_unchanged(tmp_path):
    usual = configuration.read(strategies_file(tmp_path, Plan()))
    one = configuration.read(strategies_file(tmp_path, Plan(partitions=1)))
    assert {pool.partitions for pool in one.pools.values()} == {1}
    assert one.version == usual.version


def test_tables_are_written_so_that_they_read_the_same():
    document = {"a": {"b.c:D": {"x": 1.5, "y": 'é"\n', "z": [True, 2]}, "e": {}}, "f": {"g": -1}}
    assert tomllib.loads(to_toml(document)) == document
