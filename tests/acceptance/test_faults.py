"""Kill what you like: the signals stay the same, and every event is applied once, in order."""

import random
import signal
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from compose.local.processes import Process
from compose.local.stack import Plan, Stack
from tasks import backtest, configuration
from tasks.history.recordings import read
from tasks.ledger.reader import LedgerReader
from tests.support.kinds.mixed import mixed
from tests.support.kinds.sent import SUBJECTS
from tests.support.kinds.strategies import POOLS
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, replay, running
from tests.support.waiting import wait_for


class Adversary:
    """Once a second it kills or stops a random worker, its parent process or its child."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack, self._dice = stack, random.Random(seed)
        self._next_s = time.monotonic() + 1
        self._stopped: list[tuple[float, psutil.Process]] = []
        self.faults: Counter[str] = Counter()

    def act(self) -> None:
        now_s = time.monotonic()
        for until_s, process in [stopped for stopped in self._stopped if stopped[0] <= now_s]:
            self._stopped.remove((until_s, process))
            self._signal(process, signal.SIGCONT)
        if now_s < self._next_s:
            return
        self._next_s = now_s + 1
        victim = self._victim(self._dice.choice(self._stack.workers))
        if victim is None:
            return
        fault = self._dice.choice((signal.SIGKILL, signal.SIGSTOP))
        if self._signal(victim, fault):
            self.faults[fault.name] += 1
        if fault is signal.SIGSTOP:
            self._stopped.append((now_s + self._dice.uniform(0.5, 3), victim))

    def _victim(self, worker: Process) -> psutil.Process | None:
        try:
            parent = psutil.Process(worker.pid)
            return self._dice.choice([parent, *parent.children()])
        except psutil.NoSuchProcess:
            return None

    @staticmethod
    def _signal(process: psutil.Process, number: int) -> bool:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return False
        return True

    def rest(self) -> None:
        for _, process in self._stopped:
            self._signal(process, signal.SIGCONT)


@pytest.mark.parametrize("pool", ["prefork", pytest.param("solo", marks=pytest.mark.slow)])
def test_workers_that_are_killed_and_stopped_every_second_change_nothing(opening: Path, pool: str, capsys):
    expected = backtested([opening])
    with running(Plan(3, pool)) as stack:
        adversary = Adversary(stack, seed=20240808)
        replay(stack, [opening], lasting([opening], 20), adversary.act)
        adversary.rest()
        live = finish(stack)
        letters = deadletters(stack)
    with capsys.disabled():
        faults = ", ".join(f"{count} {name}" for name, count in sorted(adversary.faults.items()))
        print(f"\n{pool}: {faults}; {live.resends} resends, {live.fenced} copies refused, {live.batches} batches")
    assert adversary.faults.total() >= 10
    assert live.events == expected.events > 8_000
    assert (live.dropped, live.repeats, letters) == ({}, 0, [])
    assert digests(live) == digests(expected)


@pytest.mark.ci
def test_workers_killed_amid_all_kinds_in_one_pool_change_nothing(recording: Path, tmp_path: Path):
    strategies = tmp_path / "strategies.toml"
    strategies.write_text(POOLS)
    file = mixed(recording, 3_000, tmp_path / "mixed.jsonl")
    expected = backtest.run([file], configuration.read(strategies))
    plan = Plan(2, "prefork", environment={"STRATEGIES_FILE": str(strategies), "NATS_SUBJECTS": SUBJECTS})
    with running(plan) as stack:
        adversary = Adversary(stack, seed=20240808)
        replay(stack, [file], lasting([file], 8), adversary.act)
        adversary.rest()
        live = finish(stack)
    assert adversary.faults.total() >= 3
    assert (live.dropped, live.repeats, live.refused) == ({}, expected.repeats, {})
    assert live.signals == expected.signals
    assert live.events == expected.events == expected.signals["every_kind"] + expected.repeats > 5_000
    assert digests(live) == digests(expected)


@pytest.mark.ci
@pytest.mark.parametrize("absence_s", [15, pytest.param(60, marks=pytest.mark.slow)])
def test_without_any_worker_everything_waits_and_nothing_is_quarantined(
    recording: Path, tmp_path: Path, absence_s: float
):
    # Of two symbols only: a queue with as many tasks as there are lanes gets no copies.
    file = tmp_path / "two.jsonl"
    file.write_bytes(b"".join(line.raw + b"\n" for line in read(recording) if line.stream.startswith(("btc", "eth"))))
    with running(Plan(1, "solo")) as stack:
        stack.instance.stop(*stack.workers)
        replay(stack, [file], "1000")
        gone_s = time.monotonic()
        wait_for(lambda: time.monotonic() - gone_s > absence_s, hangs_s=absence_s + 5)
        assert LedgerReader(stack.settings).counters().of("applied") == 0
        for worker in stack.workers:
            stack.instance.start_again(worker)
        live = finish(stack)
        assert deadletters(stack) == []
    assert live.dropped == {}
    assert live.resends > 0
    assert digests(live) == digests(backtested([file]))
