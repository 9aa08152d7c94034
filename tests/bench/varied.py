"""What the pipeline scales with, and what grows with symbols, strategies and workers."""

import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compose.local.stack import to_toml
from tasks.history import recordings
from tasks.protocol.routing import Pool, Router
from tasks.settings import load
from tests.bench.application import Desk, Loop
from tests.bench.mix import Mix
from tests.bench.pipelines import Setup, once
from tests.bench.results import Point
from tests.bench.stacks import strategies_file

WAIT_MS = 2.0
#: Costs times ten: what is there, and nine times as much again.
_MORE = 9
_BUSY, _WAITING = "tests.bench.strategies:Busy", "tests.bench.strategies:Waiting"


def shipped() -> dict[str, Any]:
    """Return the tables of the strategies file."""
    return tomllib.loads(load().strategies_file.read_text(encoding="utf-8"))


def heavy(cpu_us: float) -> str:
    """Return the shipped strategies file with so much more CPU an event in each pool keyed by symbol."""
    tables = shipped()
    for pool in tables["pools"].values():
        if pool.get("key") != "all":
            pool["strategies"][_BUSY] = {"cpu_us": cpu_us}
    return to_toml(tables)


def waiting() -> str:
    """Return a strategies file of one pool with eight lanes, in which every event waits."""
    pool = {"kinds": ["depth", "trade"], "partitions": 8, "strategies": {_WAITING: {"wait_ms": WAIT_MS}}}
    return to_toml({"pools": {"depth": pool}})


def first(count: int) -> str:
    """Return the shipped strategies file with its first `count` strategies."""
    tables, left = shipped(), count
    for name, pool in list(tables["pools"].items()):
        kept = dict(list(pool["strategies"].items())[:left])
        left -= len(kept)
        pool["strategies"] = kept
        if not kept:
            del tables["pools"][name]
    return to_toml(tables)


def strategies_cpu_us(file: Path) -> float:
    """Measure what the shipped strategies cost an event, in this process: all, less validation."""
    lines = list(recordings.read(file))
    began_ns = time.process_time_ns()
    desk = Desk()
    for line in lines:
        desk.parse(line.raw, line.stream, line.received_at_ns)
    parsed_ns = time.process_time_ns()
    loop = Loop()
    for line in lines:
        loop.take(line.raw, line.stream, line.received_at_ns)
    return ((time.process_time_ns() - parsed_ns) - (parsed_ns - began_ns)) / len(lines) / 1e3


def busy_workers(mix: Mix, folder: Path, workers: Sequence[int], events: int) -> Iterator[Point]:
    """Run strategies that are ten times as costly with more and more workers."""
    cpu_us = _MORE * strategies_cpu_us(mix.write(folder / "costly.jsonl", 4_000))
    environment = strategies_file(folder / "heavy.toml", heavy(round(cpu_us, 1)))
    for number in workers:
        run, held = once(Setup(mix, number, environment), events)
        yield Point("busy workers", number, run, held)


def waiting_workers(mix: Mix, folder: Path, workers: Sequence[int], seconds: float) -> Iterator[Point]:
    """Run strategies that wait with more and more workers, and more events with each."""
    environment = strategies_file(folder / "waiting.toml", waiting())
    for number in workers:
        events = round(number * seconds * 1e3 / WAIT_MS)
        run, held = once(Setup(mix, number, environment), events)
        yield Point("waiting workers", number, run, held, bound=bound(mix, folder, events, number))


def bound(mix: Mix, folder: Path, events: int, workers: int) -> float:
    """Return how many times one worker so many can be at best: the fullest of the eight lanes is worked on in order."""
    router, lanes, desk = Router([Pool("depth", ("depth", "trade"))]), dict[str, int](), Desk()
    for line in recordings.read(mix.write(folder / "lanes.jsonl", events)):
        event = desk.parse(line.raw, line.stream, line.received_at_ns)
        for lane in router.lanes_of(event.venue, event.symbol, event.kind) if event else ():
            lanes[str(lane)] = lanes.get(str(lane), 0) + 1
    return round(min(workers, sum(lanes.values()) / max(lanes.values())), 3)


def growth(mix: Mix, folder: Path, events: int) -> Iterator[Point]:
    """Vary symbols, strategies and workers, each alone."""
    sweeps: Mapping[str, Sequence[int]] = {"symbols": (4, 40, 400, 2000), "strategies": (1, 4, 7), "workers": (1, 2, 4)}
    for what, values in sweeps.items():
        for value in values:
            setup = Setup(mix)
            if what == "symbols":
                setup = Setup(Mix(value, mix.originals))
            elif what == "strategies":
                setup = Setup(mix, environment=strategies_file(folder / f"first{value}.toml", first(value)))
            else:
                setup = Setup(mix, workers=value)
            yield Point(what, value, *once(setup, events))
