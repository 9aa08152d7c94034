"""Sweeps on workers: the same rows as in one process, whatever is killed."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from compose.local.processes import Instance, Process
from tests.data import SPOT, USDM
from tests.support.stacks.sweeping import GATED_SWEEP, Sweeps, children, in_progress, rows, some_sets_done
from tests.support.waiting import wait_for

#: Of the long form: 3 strategies x 40 sets.
LONG = """
[sweep.orderbook_skew]
levels = [1, 2, 3, 4, 5, 7, 10, 20]
buy_ratio = [1.5, 2.0, 2.5, 3.0, 4.0]
[sweep.trade_momentum]
gate.min_confidence = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
paper.latency_ms = [0, 50, 100, 200, 400]
[sweep.iceberg]
gate.min_confidence = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
paper.latency_ms = [0, 50, 100, 200, 400]
"""


@pytest.fixture
def sweeps(tmp_path: Path) -> Iterator[Sweeps]:
    with Instance("sweeps") as instance:
        yield Sweeps(instance, tmp_path, GATED_SWEEP)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The rows as one process makes them."""
    with Instance("sweeps") as instance:
        made = Sweeps(instance, tmp_path_factory.mktemp("expected"), GATED_SWEEP).rows("--local", "--jobs", "1")
    assert len(made) == 15
    assert sum(row["positions"] for row in made) > 50
    return made


class Killer:
    """Kills a child of each worker each time that it is called, and once a whole worker."""

    def __init__(self, sweeps: Sweeps, workers: list[Process]) -> None:
        self._sweeps, self._workers = sweeps, workers
        self.killed = 0

    def __call__(self) -> None:
        for pid in [child for worker in self._workers for child in children(worker)[:1]]:
            os.kill(pid, signal.SIGKILL)
            self.killed += 1
        if self.killed <= len(self._workers):
            self._sweeps.restart(self._workers[0])

    def while_it_goes_on(self, running: "subprocess.Popen[str]", times: int) -> None:
        """Kill each time that more results are kept, so often at most, and a second apart at least."""
        for _ in range(times):
            with suppress(subprocess.TimeoutExpired):
                running.wait(timeout=1)
            more = partial(self._more_is_kept_than, self._sweeps.kept(), running)
            # The results of a block come together, at its end.
            wait_for(more, "more results", hangs_s=300)
            if running.poll() is not None:
                return
            self()

    def _more_is_kept_than(self, kept: int, running: "subprocess.Popen[str]") -> bool:
        return running.poll() is not None or self._sweeps.kept() > kept


@pytest.mark.ci
def test_rows_of_workers_are_those_of_one_process(sweeps: Sweeps, expected: Any):
    with sweeps.workers(2):
        done = sweeps.run()
    assert "on 2 workers with 4 processes" in done.stderr
    assert json.loads(done.stdout)["rows"] == expected


@pytest.mark.ci
def test_slices_are_tasks_of_which_groups_and_chords_can_be_made(sweeps: Sweeps, expected: Any):
    """Also where a slice comes twice, as tasks over Redis may."""
    with sweeps.workers(1):
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


@pytest.mark.ci
def test_rows_are_the_same_while_workers_are_killed(sweeps: Sweeps, expected: Any):
    with sweeps.workers(2) as workers, sweeps.start() as running:
        killer = Killer(sweeps, workers)
        in_progress(running, sweeps)
        killer()
        sweeps.open_gate()
        # A set is given up when its process ended five times while it ran.
        killer.while_it_goes_on(running, times=3)
        assert rows(running) == expected
    assert killer.killed >= 2


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_long_sweep_survives_kill_after_kill(tmp_path: Path, recordings: Path):
    """As the one above, with 120 sets over two real recordings."""
    with Instance("sweeps") as instance:
        sweeps = Sweeps(instance, tmp_path, LONG)
        sweeps.recordings = [recordings / SPOT, recordings / USDM]
        wanted = sweeps.rows("--local", "--jobs", "1")
        assert len(wanted) == 120
        with sweeps.workers(2) as workers, sweeps.start() as running:
            killer = Killer(sweeps, workers)
            killer.while_it_goes_on(running, times=60)
            assert rows(running) == wanted
    assert killer.killed >= 10


@pytest.mark.ci
def test_a_sweep_whose_command_is_killed_goes_on(sweeps: Sweeps, expected: Any):
    """What is kept is not computed again: the second one computes less than all, and it is on fewer processes."""
    with sweeps.workers(2), sweeps.start() as running:
        some_sets_done(running, sweeps)
        running.kill()
        running.wait()
        kept = sweeps.kept_ids()
        assert kept
        again = sweeps.run("--resume", "--local", "--jobs", "1")
    assert json.loads(again.stdout)["rows"] == expected
    assert sweeps.untouched(kept), "a result that was kept was written again"


@pytest.mark.ci
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(sweeps: Sweeps, expected: Any):
    with sweeps.workers(1):
        with sweeps.start() as running:
            some_sets_done(running, sweeps)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        partial = json.loads(out)
        assert 0 < len(partial["rows"]) == len(expected) - partial["unfinished"]
        assert all(row in expected for row in partial["rows"])
        assert "--resume" in err.splitlines()[-1]
        assert "Traceback" not in err
        assert sweeps.rows("--resume") == expected
        kept = sweeps.kept_ids()
        assert sweeps.rows() == expected
    assert not sweeps.untouched(kept), "without --resume everything is computed again"


@pytest.mark.ci
def test_ctrl_c_ends_a_local_sweep_in_the_same_way(sweeps: Sweeps, expected: Any):
    with sweeps.start("--local", "--jobs", "2") as running:
        some_sets_done(running, sweeps)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, "Traceback" in err) == (130, False), err
    assert json.loads(out)["rows"]
    assert sweeps.rows("--resume", "--local") == expected


@pytest.mark.ci
def test_rows_are_the_same_when_redis_is_killed(sweeps: Sweeps, expected: Any):
    with sweeps.workers(2), sweeps.start() as running:
        in_progress(running, sweeps)
        sweeps.restart(sweeps.redis)
        sweeps.open_gate()
        assert rows(running) == expected


@pytest.mark.slow
def test_rows_are_the_same_when_redis_is_emptied(sweeps: Sweeps, expected: Any):
    with sweeps.workers(2), sweeps.start() as running:
        in_progress(running, sweeps)
        sweeps.client.flushall()
        sweeps.open_gate()
        assert rows(running) == expected


@pytest.mark.slow
def test_rows_are_the_same_when_all_workers_end_and_come_back(sweeps: Sweeps, expected: Any):
    with sweeps.workers(2) as workers, sweeps.start() as running:
        in_progress(running, sweeps)
        for worker in workers:
            sweeps.instance.kill(worker)
        for worker in workers:
            sweeps.instance.start_again(worker)
        sweeps.open_gate()
        assert rows(running) == expected


@pytest.mark.ci
def test_without_workers_it_runs_in_processes_of_this_machine(sweeps: Sweeps, expected: Any):
    """Also where one ended a moment ago, which Redis still holds for living."""
    with sweeps.workers(1) as workers:
        sweeps.instance.kill(workers[0])
        assert sweeps.processes()
        done = sweeps.run()
    assert "no worker takes tasks of the queue research: in " in done.stderr
    assert json.loads(done.stdout)["rows"] == expected
