"""A sweep on the workers that also run live: the live digest is as without it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from compose.local.processes import Process
from compose.local.stack import Plan, Stack
from tasks.cli.sweep.execution import live_processes
from tests.support.stacks.pipeline import backtested, digests, finish, replay, running
from tests.support.stacks.sweeping import SWEEP
from tests.support.waiting import wait_for

pytestmark = pytest.mark.ci


class SharedStack(Stack):
    """A stack whose workers take slices of sweeps too."""

    def _start_worker(self, number: int, port: int, pool: str, queues: str) -> Process:
        return super()._start_worker(number, port, pool, f"{queues},research")


def sweep(stack: Stack, directory: Path, *arguments: str) -> "subprocess.Popen[str]":
    path = directory / "sweep.toml"
    path.write_text(SWEEP)
    command = [sys.executable, "-m", "tasks", "sweep", str(path), *arguments, "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=stack.environment, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def rows(running: "subprocess.Popen[str]") -> list[object]:
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    made: list[object] = json.loads(out)["rows"]
    return made


def test_a_replay_beside_a_sweep_keeps_its_digest(tmp_path: Path, recording: Path):
    plan = Plan(2, "prefork", environment={"RESEARCH_DIR": str(tmp_path / "research")})
    with running(plan, SharedStack) as stack:
        wait_for(lambda: live_processes(stack.settings)[1] == 2, "the workers to be known")
        alone = rows(sweep(stack, tmp_path, str(recording), "--local", "--jobs", "1"))
        with sweep(stack, tmp_path, str(recording)) as beside:
            replay(stack, [recording], "max")
            live = finish(stack)
            assert rows(beside) == alone
    expected = backtested([recording])
    assert live.events == live.frames == expected.frames
    assert digests(live) == digests(expected)
