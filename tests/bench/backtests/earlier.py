"""The backtest of this code beside that of an earlier checkout: one recording, the shipped strategies, in turn."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from compose.local.processes import ROOT
from tasks.errors import RealtimeStrategiesError
from tests.bench.mix import Mix
from tests.bench.noise import NoiseMeter, Say, undisturbed
from tests.bench.results import BacktestRun

EVENTS = 60_000
OURS, EARLIER = "this code", "earlier code"


class Told(msgspec.Struct, frozen=True):
    """What the command says of a recording."""

    events: int
    signals: dict[str, int]
    digest: str


class Plan(NamedTuple):
    """What to compare."""

    checkout: Path
    rounds: int
    events: int = EVENTS


def compare(mix: Mix, folder: Path, plan: Plan, say: Say) -> Iterator[BacktestRun]:
    """Yield the runs of all rounds, who comes first in one is the second in the next.

    Raises RealtimeStrategiesError: a command fails, or the two give other digests.
    """
    checkout, rounds, events = plan
    if not (checkout / "tasks").is_dir():
        raise RealtimeStrategiesError(f"{checkout} is no checkout of this project")
    files = mix.write(folder / "one.jsonl", 1), mix.write(folder / "many.jsonl", events)
    trees = {OURS: ROOT, EARLIER: checkout.resolve()}
    for number in range(1, rounds + 1):
        digests = set[str]()
        for name in trees if number % 2 else reversed(trees):
            once = partial(_round, name, trees[name], number, files)
            digest, run = undisturbed(once, lambda each: each[1].noise, say)
            digests.add(digest)
            yield run
        if len(digests) > 1:
            raise RealtimeStrategiesError(f"{checkout} gives another digest")


def _round(name: str, tree: Path, number: int, files: tuple[Path, Path]) -> tuple[str, BacktestRun]:
    """Return the digest, and what an event takes: a recording of one event takes the start's time."""
    meter = NoiseMeter()
    (one, start_s), (all_of_it, all_s) = (_backtest(tree, file) for file in files)
    event_us = (all_s - start_s) / (all_of_it.events - one.events) * 1e6
    run = BacktestRun(name, number, event_us, sum(all_of_it.signals.values()), meter.noise(0.0))
    return all_of_it.digest, run


def _backtest(tree: Path, file: Path) -> tuple[Told, float]:
    """Return what a checkout's command says of a recording, and its CPU seconds."""
    command = [sys.executable, "-m", "tasks", "backtest", str(file), "--jobs", "1", "--json"]
    before_s = sum(os.times()[2:4])
    done = subprocess.run(
        command, cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RealtimeStrategiesError(f"the backtest of {tree}: {done.stderr.strip()[-500:]}")
    return msgspec.json.decode(done.stdout, type=Told), sum(os.times()[2:4]) - before_s
