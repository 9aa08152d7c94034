"""Sweeps on workers: the same rows as in one process, whatever is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compose.local.processes import ROOT, Instance, Process
from compose.local.servers import free_port, start_redis
from tasks.cli.sweep.execution import live_processes
from tasks.settings import Settings
from tests.data import RECORDING
from tests.support.waiting import wait_for

SWEEP = """
[sweep.orderbook_skew]
levels = [1, 3, 5, 10]
buy_ratio = [2.0, 3.0]
[sweep.trade_momentum]
gate.min_confidence = [0.1, 0.5]
paper.latency_ms = [0, 200]
[sweep.market_dominance]
high = [55.0, 65.0]
"""


class Sweeps:
    """A Redis, research workers, and the command."""

    def __init__(self, instance: Instance, redis_url: str, directory: Path) -> None:
        self._instance, self._directory = instance, directory
        self.sweep = directory / "sweep.toml"
        self.sweep.write_text(SWEEP)
        self._settings = Settings(redis_url=redis_url, namespace="sweeps")
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": redis_url,
            "NAMESPACE": "sweeps",
            "RESEARCH_DIR": str(directory / "research"),
            "LOG_FORMAT": "json",
        }

    def worker(self, name: str = "research", **more: str) -> Process:
        """Start a worker of the queue, in two processes."""
        celery = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-Q", "research", "-c", "2"]
        options = ["-n", f"{name}@test", "--without-gossip", "--without-mingle"]
        environment = self._environment | {"WORKER_HTTP_PORT": str(free_port())} | more
        return self._instance.start(name, [*celery, *options], environment)

    def processes(self) -> int:
        """Return how many processes of workers are known."""
        return live_processes(self._settings)[1]

    def stop(self, *workers: Process) -> None:
        self._instance.stop(*workers)

    def restart(self, worker: Process) -> None:
        self._instance.kill(worker)
        self._instance.start_again(worker)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tasks", "sweep", str(self.sweep), str(RECORDING), "--json", *arguments]

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self._environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=170,
        )

    def rows(self, *arguments: str, **more: str) -> Any:
        done = self.run(*arguments, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["rows"]

    def python(self, program: str) -> str:
        """Run a program with the sweep file and the recording as its arguments; return what it prints."""
        command = [sys.executable, "-c", program, str(self.sweep), str(RECORDING)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=170)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*arguments), env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweeps]:
    with Instance("sweeps") as instance:
        _, url = start_redis(instance, options=("--appendonly", "yes"))
        yield Sweeps(instance, url, tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="module")
def expected(sweeps: Sweeps) -> Any:
    """The rows as one process makes them."""
    rows = sweeps.rows("--local", "--jobs", "1")
    assert len(rows) == 14
    assert sum(row["positions"] for row in rows) > 50
    return rows


@contextmanager
def workers(sweeps: Sweeps, count: int) -> Iterator[list[Process]]:
    started = [sweeps.worker(f"research-{number}") for number in range(count)]
    try:
        wait_for(lambda: sweeps.processes() == 2 * count, "the workers to be known")
        yield started
    finally:
        sweeps.stop(*started)


def children(process: Process) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []


def test_rows_of_workers_are_those_of_one_process(sweeps: Sweeps, expected: Any):
    with workers(sweeps, 2):
        done = sweeps.run()
    assert "on 2 workers with 4 processes" in done.stderr
    assert json.loads(done.stdout)["rows"] == expected


def test_slices_are_tasks_of_which_groups_and_chords_can_be_made(sweeps: Sweeps, expected: Any):
    """Also where a slice comes twice, as tasks over Redis may."""
    with workers(sweeps, 1):
        summaries = json.loads(sweeps.python(CHORD))
    first, again, other = summaries
    assert max(first["events"], again["events"]) > 0
    assert other["events"] > 0


#: A chord of three slices of a sweep, two of them alike; its body gathers their results.
CHORD = """
import json, sys
from pathlib import Path
from celery import chord, group
from tasks import configuration
from tasks.celery import app
from tasks.settings import load
from tasks.sweep import Sweep, slice_task
from tasks.sweep.datasets import writer
from tasks.sweep.slice_run import BlockState
from tasks.sweep.slice_task import SliceRequest
from tasks.sweep.work_plan import WorkPlan

settings, chosen = load(), configuration.read(load().strategies_file)
dataset = writer.prepare(Path(sys.argv[2]), directory=settings.research_path)
one, other, *_ = WorkPlan(chosen, [dataset], Sweep.read(Path(sys.argv[1])).sets(chosen)).blocks({}, 8)
slices = [slice_task.pack(SliceRequest(each, BlockState(), 0.1)) for each in (one, one, other)]
tasks = group(app.signature("tasks.research", args=(each,), queue="research") for each in slices)
body = app.signature("celery.accumulate", kwargs={}, queue="research")
print(json.dumps(chord(tasks, body).apply_async().get(timeout=100)[0]))
"""


def test_rows_are_the_same_while_workers_are_killed(sweeps: Sweeps, expected: Any):
    """Every second a process of each worker, and once a whole worker."""
    killed, restarted = 0, False
    with workers(sweeps, 2) as started, sweeps.start() as running:
        while True:
            try:
                out, err = running.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                victims = [child for process in started for child in children(process)[:1]]
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            if not restarted:
                restarted = True
                sweeps.restart(started[0])
    assert killed >= 2
    assert running.returncode == 0, err
    assert json.loads(out)["rows"] == expected
