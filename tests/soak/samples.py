"""What the processes and servers weigh while it runs, and whether that is flat."""

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import redis

from compose.local.processes import Process
from tasks.clients.redis_client import FAILED
from tests.faults.run import FaultRun

MIB = 2**20
EVERY_S = 5.0
#: With fewer samples nothing is said about growth.
ENOUGH = 36
#: A log is begun again when it is as large; the one before is kept beside it.
LOG_BYTES = 32 * MIB
#: How much more the last third may be than the middle one, beside a tenth of it.
SLACK = {"MiB": 10.0, "descriptors": 24.0, "threads": 4.0, "keys": 100.0, "entries": 100.0}
#: Told and not judged: closed positions are kept, a million of them; how many results a minute has follows the load.
NOT_JUDGED = {"positions entries", "result keys"}
SHARE = 0.1
#: Samples above this quantile of a third are peaks, such as connections that a fault leaves open for a while.
QUANTILE = 0.9


class Series(msgspec.Struct):
    """The samples of one quantity in brief."""

    least: float
    most: float
    #: What nine of ten samples do not exceed, in each third of the time.
    first: float
    middle: float
    last: float
    flat: bool


def series(name: str, values: Sequence[float]) -> Series:
    """Return the samples in brief; the last word of the name is the unit, which says how much is flat."""
    third = max(1, len(values) // 3)
    first, middle, last = (
        sorted(part)[int(len(part) * QUANTILE)]
        for part in (values[:third], values[third : -third or None], values[-third:])
    )
    flat = len(values) < ENOUGH or name in NOT_JUDGED or last <= middle * (1 + SHARE) + SLACK[name.rpartition(" ")[2]]
    least, most, first, middle, last = (round(value, 1) for value in (min(values), max(values), first, middle, last))
    return Series(least, most, first, middle, last, flat)


class Samples:
    """Samples every few seconds."""

    def __init__(self, run: FaultRun) -> None:
        self._run = run
        self._redis = redis.Redis.from_url(run.stack.redis_url, retry=None, socket_timeout=1)
        self._values: dict[str, list[float]] = defaultdict(list)
        self._due_s = 0.0

    def take_if_due(self) -> None:
        """Take a sample if the last one is some seconds old."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + EVERY_S
        for process in (*self._run.stack.ports, *self._run.stack.workers, self._run.stack.nats, self._run.stack.redis):
            self._weigh(process)
        with suppress(redis.RedisError, *FAILED):
            self._ask_redis()
        directory = self._run.stack.instance.directory
        self._add("NATS store MiB", sum(_sizes(directory / "nats")) / MIB)
        _bound_logs(directory)

    def in_brief(self) -> dict[str, Series]:
        """Return what was sampled, by name."""
        return {name: series(name, values) for name, values in sorted(self._values.items())}

    def _weigh(self, process: Process) -> None:
        # One that is just starting, or has ended, is left out.
        with suppress(psutil.Error):
            parent = psutil.Process(process.pid)
            family = [parent, *parent.children()]
            self._add(f"{process.name} MiB", max(each.memory_info().rss for each in family) / MIB)
            self._add(f"{process.name} descriptors", max(each.num_fds() for each in family))
            self._add(f"{process.name} threads", max(each.num_threads() for each in family))

    def _ask_redis(self) -> None:
        keys = self._run.reader.keys
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.info("memory")
            pipe.dbsize()
            pipe.memory_usage(keys.positions, samples=0)
            for stream in (keys.signals, keys.positions, keys.deadletters, keys.audit):
                pipe.xlen(stream)
            memory, count, positions_bytes, *lengths = pipe.execute()
        self._add("Redis data without positions MiB", (memory["used_memory"] - (positions_bytes or 0)) / MIB)
        results = f"{self._run.stack.settings.celery_prefix}celery-task-meta-*"
        found = sum(1 for _ in self._redis.scan_iter(match=results, count=1_000))
        self._add("result keys", found)
        self._add("other keys", max(0, count - found))
        for name, length in zip(("signals", "positions", "dead letters", "audit"), lengths, strict=True):
            self._add(f"{name} entries", length)

    def _add(self, name: str, value: float) -> None:
        self._values[name].append(value)


def _sizes(folder: Path) -> list[int]:
    """Return the sizes of the files below a folder."""
    sizes = []
    for file in folder.rglob("*"):
        with suppress(OSError):
            sizes.append(file.stat().st_size)
    return sizes


def _bound_logs(folder: Path) -> None:
    for log in folder.glob("*.log"):
        if log.stat().st_size > LOG_BYTES:
            log.with_suffix(".log.1").write_bytes(log.read_bytes())
            # Whoever writes to it appends.
            with log.open("r+b") as file:
                file.truncate()
