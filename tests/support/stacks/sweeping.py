"""Sweeps on real workers, driven by a test: a Redis, workers of the queue `research`, and the command."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from prometheus_client.parser import text_string_to_metric_families

from compose.local.processes import ROOT, Instance, Process
from compose.local.servers import free_port, start_redis
from tasks.cli.sweep.execution import live_processes
from tasks.settings import Settings
from tasks.sweep.store import FILE
from tests.data import RECORDING
from tests.support.service import get
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
#: The same, and a strategy that waits, in one market, until the gate is open; it stands in the strategies file beside those of the project.
GATED_SWEEP = f"""{SWEEP}
[sweep."tests.support.strategies.moods:Gated"]
min_signal_interval_s = 1.0
"""
STRATEGIES = f"""
{(ROOT / "tasks/strategies.toml").read_text()}
[pools.trade.strategies."tests.support.strategies.moods:Gated"]
"""
#: Sets times markets, of all strategies but the one at the gate: what is done while that is shut.
DONE_UNITS = 12 * 12 + 2 * 2
#: How many processes each worker has.
CHILDREN = 2


class Sweeps:
    """A Redis that keeps what it has, workers, and the command."""

    def __init__(
        self, instance: Instance, directory: Path, sweep: str = SWEEP, namespace: str = "sweeps", **environment: str
    ) -> None:
        """`environment` holds settings of workers and command."""
        self.instance, self.directory = instance, directory
        directory.mkdir(parents=True, exist_ok=True)
        self.redis, url = start_redis(instance, options=("--appendonly", "yes"))
        self.sweep = directory / "sweep.toml"
        self.sweep.write_text(sweep)
        self.recordings: Sequence[Path] = [RECORDING]
        self.settings = Settings(redis_url=url, namespace=namespace)
        strategies = directory / "gated-strategies.toml"
        strategies.write_text(STRATEGIES)
        self._gate = directory / "gate"
        self.client = redis.Redis.from_url(url)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": url,
            "NAMESPACE": namespace,
            "RESEARCH_DIR": str(directory / "research"),
            "LOG_FORMAT": "json",
            "STRATEGIES_FILE": str(strategies),
            "GATE_FILE": str(self._gate),
            # Nothing that waits at the gate is taken for one that hangs.
            "RUN_LIMIT_S": "600",
            **environment,
        }

    def worker(self, name: str = "research", *options: str, queues: str = "research", **more: str) -> Process:
        """Start a worker, in two processes unless `options` say otherwise."""
        celery = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-Q", queues]
        environment = self.environment | {"WORKER_HTTP_PORT": str(free_port())} | more
        processes = options or ("-c", str(CHILDREN))
        return self.instance.start(name, [*celery, *processes, "-n", f"{name}@test"], environment)

    def processes(self) -> int:
        """Return how many processes of workers are known."""
        return live_processes(self.settings)[1]

    @contextmanager
    def workers(
        self, count: int, *options: str, queues: str = "research", name: str = "research", **more: str
    ) -> Iterator[list[Process]]:
        """Have so many workers within the block."""
        before = self.processes()
        names = [f"{name}-{number}" for number in range(count)]
        started = [self.worker(name, *options, queues=queues, **more) for name in names]
        try:
            each = 1 if "solo" in options else CHILDREN
            wait_for(lambda: self.processes() == before + each * count, "the workers to be known")
            yield started
        finally:
            self.instance.stop(*started)

    def metric(self, worker: Process, name: str) -> float:
        """Return a metric of a worker, all its labels together."""
        _, text = get(int(worker.environment["WORKER_HTTP_PORT"]), "/metrics")
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == name)

    def restart(self, worker: Process) -> None:
        """Kill a worker with its children, and start it again."""
        self.instance.kill(worker)
        self.instance.start_again(worker)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        paths = map(str, self.recordings)
        return [sys.executable, "-m", "tasks", "sweep", str(self.sweep), *paths, "--json", *arguments]

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, with the gate open."""
        self.open_gate()
        environment = self.environment | more
        return subprocess.run(
            self.command(*arguments), env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    def rows(self, *arguments: str, **more: str) -> Any:
        """Return the rows of the command, which succeeds."""
        done = self.run(*arguments, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["rows"]

    def python(self, program: str) -> str:
        """Run a program with the sweep file and the first recording as its arguments; return what it prints."""
        command = [sys.executable, "-c", program, str(self.sweep), str(self.recordings[0])]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        """Start the command, with the gate shut."""
        self._gate.unlink(missing_ok=True)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(self.command(*arguments), env=self.environment | more, text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    def open_gate(self) -> None:
        """Let the sweep come to its end."""
        self._gate.touch()

    def kept(self, table: str = "results") -> int:
        """Return how many units' results are kept, or blocks that are `begun`."""
        found = self._ask(f"SELECT count(*) FROM {table}")  # noqa: S608 of the test's
        return int(found[0][0]) if found else 0

    def kept_ids(self) -> list[str]:
        """Mark what is kept; return its ids."""
        with closing(sqlite3.connect(self._file)) as file, file:
            file.execute("UPDATE results SET used_s = used_s + 1000")
        return [id_ for (id_,) in self._ask("SELECT id FROM results")]

    def untouched(self, ids: Sequence[str]) -> bool:
        """Whether nothing of it was written since it was marked."""
        marked = self._ask("SELECT id FROM results WHERE used_s > unixepoch() + 100")
        return {id_ for (id_,) in marked} == set(ids)

    @property
    def _file(self) -> Path:
        return self.directory / "research" / FILE

    def _ask(self, query: str) -> list[Any]:
        if not self._file.exists():
            return []
        opened = closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True))
        with opened as file, suppress(sqlite3.OperationalError):
            return file.execute(query).fetchall()
        return []


def in_progress(running: "subprocess.Popen[str]", sweeps: Sweeps) -> None:
    """Wait until some of a running sweep is done."""
    wait_for(lambda: running.poll() is not None or sweeps.kept(), "results that are kept")
    assert running.poll() is None


def some_sets_done(running: "subprocess.Popen[str]", sweeps: Sweeps) -> None:
    """Wait until whole sets of a running sweep are done: all but the one at the gate."""
    wait_for(lambda: running.poll() is not None or sweeps.kept() >= DONE_UNITS, "sets that are done")
    assert running.poll() is None


def rows(running: "subprocess.Popen[str]") -> Any:
    """Return the rows of a command that was started, which succeeds."""
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    return json.loads(out)["rows"]


def children(process: Process) -> list[int]:
    """Return the ids of a worker's children."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in path.read_text().split()] if path.exists() else []
