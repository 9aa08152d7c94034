"""At small loads one worker has nearly all tasks, and may end in any way."""

import itertools
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from compose.local.stack import Plan, Stack
from tests.support.files.openings import write_opening
from tests.support.service import get
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, replay, running

FRAMES, PER_S = 500, 60


@pytest.fixture
def little(recording: Path, tmp_path: Path) -> Path:
    return write_opening(recording, FRAMES, tmp_path / "little.jsonl")


def batches(stack: Stack) -> dict[int, float]:
    """Return how many batches each worker has committed since its start, by its place among them."""
    texts = {place: get(port, "/metrics")[1] for place, port in enumerate(stack.worker_ports)}
    return {
        place: sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "worker_batches_total"
        )
        for place, text in texts.items()
    }


@pytest.mark.parametrize("pool", ["prefork", pytest.param("solo", marks=pytest.mark.slow)])
def test_at_small_loads_one_worker_has_nearly_all_tasks(little: Path, pool: str):
    """Redis gives those of a shared queue to each in turn."""
    with running(Plan(4, pool)) as stack:
        stack.wait_until_workers_are_known()
        replay(stack, [little], lasting([little], FRAMES / PER_S))
        by_worker = batches(stack)
        live = finish(stack)
    assert sum(by_worker.values()) == live.batches
    assert max(by_worker.values()) > 0.7 * live.batches, by_worker


class Hunter:
    """Ends or stops the worker that has had most batches lately, every second and a half, in each way by turns."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._ways = stack, itertools.cycle((signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP))
        self._next_s = time.monotonic() + 1.5
        self._before: dict[int, float] = {}
        self._stopped: list[psutil.Process] = []
        self.hunted: Counter[str] = Counter()

    def act(self) -> None:
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + 1.5
        self.rest()
        now = batches(self._stack)
        gained = {place: count - self._before.get(place, 0) for place, count in now.items()}
        self._before = now
        way, worker = next(self._ways), self._stack.workers[max(gained, key=gained.__getitem__)]
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(worker.pid)
            if way is signal.SIGSTOP:
                self._stopped = [process, *process.children()]
            for each in self._stopped or [process]:
                each.send_signal(way)
            self.hunted[way.name] += 1

    def rest(self) -> None:
        for process in self._stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        self._stopped = []


@pytest.mark.parametrize("pool", ["solo", pytest.param("prefork", marks=pytest.mark.slow)])
def test_the_worker_that_has_nearly_all_tasks_may_end_in_any_way(little: Path, pool: str, capsys):
    with running(Plan(3, pool)) as stack:
        stack.wait_until_workers_are_known()
        hunter = Hunter(stack)
        replay(stack, [little], lasting([little], 12), hunter.act)
        hunter.rest()
        live = finish(stack)
        letters = deadletters(stack)
    with capsys.disabled():
        print(f"\n{pool}: {dict(hunter.hunted)}; {live.resends} resends of {live.batches} batches")
    assert set(hunter.hunted) == {"SIGTERM", "SIGKILL", "SIGSTOP"}
    assert live.events == FRAMES
    assert (live.dropped, live.repeats, letters) == ({}, 0, [])
    assert digests(live) == digests(backtested([little]))
