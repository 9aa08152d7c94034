"""One timed run: warm up, publish, wait until all is worked on, and say what it took."""

import itertools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import redis

from compose.local.processes import LocalStackError, Process
from tests.bench import systems, usage
from tests.bench.feed import Fed
from tests.bench.noise import Noise, NoiseMeter
from tests.bench.systems import System
from tests.bench.usage import RedisUse

_SAMPLE_S = 0.25
_DONE_S = 300.0


class RunUsage(msgspec.Struct, frozen=True):
    """What a run took, of the whole machine's work for it."""

    events: int
    #: From the first publish to the last event's end.
    seconds: float
    #: CPU microseconds an event, by role of process; the feed is one.
    cpu_us: dict[str, float]
    #: Highest resident memory by process.
    resident_mib: dict[str, float]
    redis: RedisUse
    #: What others took of the machine meanwhile; None: not measured.
    noise: Noise | None = None

    @property
    def events_per_s(self) -> float:
        """Throughput."""
        return self.events / self.seconds

    def __str__(self) -> str:
        return f"{self.events_per_s:,.0f} events/s, {self.event_us:.1f} us of CPU each"

    @property
    def event_us(self) -> float:
        """CPU microseconds an event of all processes, servers and feed included."""
        return sum(self.cpu_us.values())


class Load(NamedTuple):
    """What is published."""

    file: Path
    #: Frames in it, all of which are events.
    events: int
    #: What they count as: once for each pool.
    deliveries: int
    speed: str = "max"


def _nothing() -> None:
    """Sample nothing."""


def run(system: System, load: Load, sample: Callable[[], None] = _nothing) -> RunUsage:
    """Feed a system that has nothing to do, until it has nothing to do again. Raises LocalStackError.

    `sample` is called again and again meanwhile.
    """
    meter = NoiseMeter()
    with redis.Redis.from_url(system.redis_url) as client:
        polls = itertools.count()
        target = system.done() + load.deliveries
        asked, used = usage.redis_use(client), usage.cpu_s(system.instance.processes)
        feed = systems.feed(system, load.file, load.speed)
        watched = _Memory(feed, system)

        def all_done() -> bool:
            watched.poll()
            sample()
            return _done(system, polls) >= target

        systems.follow(system, all_done, _DONE_S, f"{target} events")
        ended_s = time.monotonic()
        used_then = usage.cpu_s([each for each in system.instance.processes if each is not feed])
        asked_then = usage.redis_use(client)
    fed = _told(system, feed)
    noise = meter.noise(sum(used_then.values()) - sum(used.values()))
    cpu_us = {role: (spent_s - used.get(role, 0)) / load.events * 1e6 for role, spent_s in used_then.items()}
    cpu_us["feed"] = fed.cpu_s / load.events * 1e6
    use = asked_then.since(asked)
    if system.asks:
        use = use.without(system.asks, next(polls))
    return RunUsage(load.events, ended_s - fed.began_s, _rounded(cpu_us), watched.highest_mib, use, noise)


def _done(system: System, polls: "itertools.count[int]") -> int:
    next(polls)
    return system.done()


class _Memory:
    """Looks at the memory now and then."""

    def __init__(self, feed: Process, system: System) -> None:
        self._processes = [each for each in system.instance.processes if each is not feed]
        self._next_s = 0.0
        self.highest_mib: dict[str, float] = {}

    def poll(self) -> None:
        """Look when it is time."""
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _SAMPLE_S
            for name, mib in usage.resident_mib(self._processes).items():
                self.highest_mib[name] = round(max(mib, self.highest_mib.get(name, 0)), 1)


def _told(system: System, feed: Process) -> Fed:
    systems.follow(system, lambda: feed.returncode is not None, 30, "the feed to end")
    if feed.returncode:
        raise LocalStackError(f"the feed {feed.ended}; its log ends with:{feed.tail()}")
    return msgspec.json.decode(feed.log.read_bytes().splitlines()[-1], type=Fed)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
