"""Counters of a worker's processes, updated once for each batch, in files that their main process adds up.

Until `start` is called, which a worker's main process does before it forks, nothing is counted and nothing is made.
"""

import os
import re
import shutil
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from billiard.process import current_process
from prometheus_client import Counter, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from tasks.protocol.counters import OTHER_QUEUES
from tasks.telemetry.metrics import WORKER
from tasks.worker.runner import BatchResult

#: What the killed workers of another pipeline left is removed after so long.
_FORGOTTEN_S = 3600
#: By name; empty where nobody scrapes.
_counters: dict[str, Counter] = {}
_histograms: dict[str, Histogram] = {}
#: Those that this worker serves: a task may name any.
_pools: set[str] = set()
#: Where its processes leave their files.
_directories: list[Path] = []


class Collector:
    """A collector of prometheus_client: the sum over all files of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        """Add up. A file that a child has opened this moment is empty, which theirs does not expect."""
        files = [str(file) for file in self._directory.glob("*.db") if file.stat().st_size]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # theirs
        return merged


def start(pools: Iterable[str], owner: str = "") -> Path:
    """Count from now on, in this process and those it forks; return the directory of the files.

    `owner` names the pipeline: what its killed workers left is removed, and others' only when it is old.
    """
    directory = _make_directory(owner)
    _directories[:] = [directory]
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    # That variable is read when prometheus_client is imported, and `celery` has done that long ago for Flower's
    # command. So the choice that it made then is made again, before the first metric of ours.
    values.ValueClass = values.MultiProcessValue(_process_name)  # type: ignore[no-untyped-call]  # theirs
    for metric in WORKER.values():
        if metric.type == "counter":
            _counters[metric.name] = Counter(metric.name, metric.help, metric.labels, registry=None)
        elif metric.type == "histogram":
            _histograms[metric.name] = Histogram(
                metric.name, metric.help, metric.labels, registry=None, buckets=metric.buckets
            )
    _pools.update(pools)
    # A counter that begins at 0 shows its first step.
    for pool in _pools:
        for metric in WORKER.values():
            if metric.labels == ("pool",):
                (_counters.get(metric.name) or _histograms[metric.name]).labels(pool)
    return directory


def directory() -> Path | None:
    """Return where this worker's processes leave their files; None in what is no worker."""
    return _directories[0] if _directories else None


def stop(directory: Path) -> None:
    """Remove the files."""
    shutil.rmtree(directory, ignore_errors=True)


def pool_label(pool: str) -> str:
    """Return a pool's label: labels are bounded, and a task may name any pool."""
    return pool if pool in _pools else OTHER_QUEUES


def count(name: str, *labels: str, by: float = 1) -> None:
    """Add to a counter of `metrics.WORKER`; adding 0 makes it appear."""
    if _counters:
        counter = _labelled(name, labels)
        if by:
            counter.inc(by)


@cache
def _seconds(pool: str) -> Histogram:
    return _histograms["worker_batch_seconds"].labels(pool)


@cache
def _labelled(name: str, labels: tuple[str, ...]) -> Counter:
    return _counters[name].labels(*labels) if labels else _counters[name]


@contextmanager
def counted(faults: type[Exception] | tuple[type[Exception], ...], name: str, *pools: str) -> Iterator[None]:
    """Count `faults` of the block, for each of these pools or for none; they go through."""
    try:
        yield
    except faults:
        for labels in zip(pools, strict=True) if pools else [()]:
            count(name, *labels)
        raise


def committed(results: Sequence[BatchResult], task_s: float) -> None:
    """Count the results of a task's batches.

    Each took its part of `task_s`, the task's seconds, by its number of events.
    """
    if not _counters:
        return
    events = sum(done.events for done in results)
    # A count in a file costs a microsecond: one for all batches of a task.
    counted: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for done in results:
        _seconds(pool_label(done.pool)).observe(task_s * done.events / events)
        for name, *labels, by in _counts(pool_label(done.pool), done):
            counted[name, *labels] += by
    for (name, *labels), by in counted.items():
        count(name, *labels, by=by)


def _counts(pool: str, done: BatchResult) -> Iterator[tuple[Any, ...]]:
    """Yield name, labels and value of each count of a batch; a value of 0 makes the counter appear."""
    yield "worker_batches", pool, 1
    yield "worker_events", pool, done.applied
    yield "worker_repeats", pool, done.repeats
    for strategy, spent_ns in done.spent_ns.items():
        yield "worker_strategy_seconds", strategy, spent_ns / 1e9
        yield "worker_strategy_errors", strategy, done.errors.get(strategy, 0)
    for (strategy, action), signals in done.signals.items():
        yield "worker_signals", strategy, action, signals
    for reason, signals in done.held.items():
        yield "worker_signals_held", reason, signals
    for reason, signals in done.unfilled.items():
        yield "worker_orders_unfilled", reason, signals


def _process_name() -> str:
    """Name this process's files by its place in the pool, so that the successor of a dead one continues them."""
    index = getattr(current_process(), "index", None)
    return "main" if index is None else f"pool{index}"


def is_child() -> bool:
    """Whether this is a process of a pool."""
    return _process_name() != "main"


def _make_directory(owner: str) -> Path:
    """Make an empty directory, and remove those of workers of this machine that were killed."""
    for leftover in _leftover_files():
        if leftover.owner == owner or _is_forgotten(leftover.path):
            shutil.rmtree(leftover.path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-{owner}-"))


def _is_forgotten(path: Path) -> bool:
    """Whether nobody has written there for long. Another worker, which starts too, may have removed it by now."""
    try:
        return time.time() - path.stat().st_mtime > _FORGOTTEN_S
    except FileNotFoundError:
        return False


def left_behind(owner: str) -> list[Path]:
    """Return the directories of workers of this machine and owner that were killed."""
    return [leftover.path for leftover in _leftover_files() if leftover.owner == owner]


class _LeftoverFile(NamedTuple):
    path: Path
    owner: str


def _leftover_files() -> Iterator[_LeftoverFile]:
    for path in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        named = re.fullmatch(r"(\d+)-(\w*)-\w+", path.name.removeprefix(_prefix()))
        if named and not _lives(int(named[1])):
            yield _LeftoverFile(path, named[2])


def _prefix() -> str:
    return f"realtime-strategies-{socket.gethostname()}-"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Its files are made again: those of this process are of another one, which had the same id in an earlier container.
    return pid != os.getpid()
