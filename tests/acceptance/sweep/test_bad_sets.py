"""A set that misbehaves is marked, and the rows of the others are those of a run without it."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from compose.local.processes import Instance
from tests.support.files import sweeps as short
from tests.support.files.datasets import recorded
from tests.support.stacks.sweeping import Sweeps
from tests.support.waiting import wait_for

STRATEGIES = f"""
[paper]
latency_ms = 0
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies."{short.MOODS}"]
min_signal_interval_s = 0.0
"""
#: What each set does, and what is said of it.
SAID = {
    "raise": "ArithmeticError: a bad mood",
    "hang": "did not come to an end within 1 s, in",
    "sleep": "did not come to an end within 1 s, in",
    "kill": "its process ended 5 times while it ran",
    "eat": "its process ended 5 times while it ran",
    "alarm": "its process ended 5 times while it ran",
    "disarm": "its process ended 5 times while it ran",
}


def sweep(*moods: str) -> str:
    """Return a sweep over these moods."""
    return f'[sweep."{short.MOODS}"]\nmood = {json.dumps(moods)}\nevery = [10]\n'


#: What costs many processes their life, each of which is waited for, is left to the long form.
QUICK = ("raise", "hang", "sleep", "kill")


#: Each of its tries takes about ten seconds.
STUCK = pytest.param(("disarm",), id="disarm", marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])
ALL = tuple(mood for mood in SAID if mood != "disarm")


@pytest.fixture(params=[pytest.param(QUICK, id="quick"), pytest.param(ALL, id="all", marks=pytest.mark.slow), STUCK])
def moods(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def sweeps(tmp_path: Path, moods: Sequence[str]) -> Iterator[Sweeps]:
    file = tmp_path / "strategies.toml"
    file.write_text(STRATEGIES)
    with Instance("sweeps") as instance:
        made = Sweeps(instance, tmp_path, sweep("calm", *moods), STRATEGIES_FILE=str(file), RUN_LIMIT_S="1")
        made.recordings = [recorded(tmp_path / "trades.jsonl", short.prices(200))]
        yield made


@pytest.fixture
def calm(sweeps: Sweeps) -> Any:
    """The rows of a run without the sets that misbehave."""
    told = sweeps.sweep.read_text()
    sweeps.sweep.write_text(sweep("calm"))
    rows = sweeps.rows("--local", "--jobs", "1")
    sweeps.sweep.write_text(told)
    assert [row["error"] for row in rows] == [None]
    return rows


def assert_marked(done: "subprocess.CompletedProcess[str]", calm: Any) -> None:
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row for row in rows if not row["error"]] == calm
    assert len(rows) > len(calm)
    for row in rows[1:]:
        assert SAID[row["parameters"]["mood"]] in row["error"]


@pytest.mark.slow
def test_on_a_prefork_worker(sweeps: Sweeps, calm: Any):
    with sweeps.workers(1) as (worker,):
        done = sweeps.run()
        assert worker.returncode is None
        wait_for(lambda: sweeps.processes() == 2, "the child that ended to be replaced")
    assert_marked(done, calm)


@pytest.mark.slow
def test_on_a_solo_worker_that_is_started_again(sweeps: Sweeps, calm: Any):
    with sweeps.workers(1, "--pool", "solo") as (worker,), sweeps.start() as running:
        worker.keep_running()
        while running.poll() is None:
            sweeps.instance.watch()
            try:
                running.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
        done = subprocess.CompletedProcess(running.args, running.returncode, *running.communicate())
    assert_marked(done, calm)


@pytest.mark.ci
def test_in_processes_of_this_machine(sweeps: Sweeps, calm: Any):
    assert_marked(sweeps.run("--local", "--jobs", "2"), calm)
