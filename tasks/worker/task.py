"""The Celery task. Thin: what happens to its batches is in `runner`."""

import faulthandler
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from time import perf_counter

import msgspec
import redis
import structlog
from celery.exceptions import Ignore
from structlog.contextvars import bound_contextvars

from tasks.celery import app
from tasks.clients.redis_client import reason
from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.errors import LedgerError
from tasks.ledger import Ledger
from tasks.protocol import batches
from tasks.protocol.strikes import NO_MEMORY_STATUS
from tasks.protocol.task_name import TASK_NAME
from tasks.settings import load
from tasks.telemetry import tracing
from tasks.telemetry.log_throttle import LogThrottle
from tasks.worker import runner, worker_metrics
from tasks.worker.run_note import SOLO, RunNote, of_child

log = structlog.get_logger()


@lru_cache(maxsize=1)
def _ledger() -> Ledger:
    return Ledger.connect(load())


#: Batches of more configurations are in flight only if somebody changes it many times a second.
CONFIGURATIONS_KEPT = 8


class Strategies:
    """The strategies of the configurations that this process has met last."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[BoundStrategy, ...]]] = {}

    def find(self, ledger: Ledger, version: str, pool: str) -> Sequence[BoundStrategy]:
        """Return a pool's strategies. Raises LedgerError: the ledger does not hold this configuration."""
        if version not in self._known:
            packed = ledger.configuration(version)
            if packed is None:
                raise LedgerError(f"the ledger holds no configuration {version}")
            self._known[version] = registry.running(Configuration.parse(packed))
            if len(self._known) > CONFIGURATIONS_KEPT:
                del self._known[next(iter(self._known))]
        if pool not in self._known[version]:
            raise LedgerError(f"the configuration {version} has no pool {pool!r}")
        return self._known[version][pool]


_strategies = Strategies()


@lru_cache(maxsize=1)
def _die_of_alarms() -> None:
    """Have SIGALRM end this process, as it does by default, after a traceback on standard error."""
    faulthandler.register(signal.SIGALRM, file=sys.__stderr__ or sys.stderr, chain=True)


@contextmanager
def bounded(limit_s: float) -> Iterator[None]:
    """End this process, with a traceback on standard error, if the block takes longer or all memory. In every pool.

    The timer is the kernel's, and what it calls is C: it also ends a strategy that loops for ever in C code or holds
    the interpreter's lock. A timer of faulthandler's would start a thread for each batch.
    """
    _die_of_alarms()
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    except MemoryError:
        # Celery would end the whole worker for it, and with it what the other children of its pool run.
        with suppress(MemoryError):
            traceback.print_exc()
        os._exit(NO_MEMORY_STATUS)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Refusals:
    """What Redis refused, for the log: what is new at once, the same again once in a while."""

    def __init__(self) -> None:
        self._throttle, self._last = LogThrottle(), ""

    def record(self, why: str) -> None:
        if self._throttle.allow() or why != self._last:
            log.error("Redis refuses what a batch needs: it is sent again", why=why)
        self._last = why


_refusals = _Refusals()


@contextmanager
def _told_if_refused() -> Iterator[None]:
    """Log in one line what Redis refused, and leave the task without a result: ingest sends its batches again."""
    try:
        yield
    except redis.ResponseError as error:
        _refusals.record(reason(error))
        raise Ignore from None


@lru_cache(maxsize=1)
def _note() -> RunNote | None:
    directory = worker_metrics.directory()
    if directory is None:
        return None
    return RunNote(of_child(directory, os.getpid()) if worker_metrics.is_child() else directory / SOLO)


@contextmanager
def _noted() -> Iterator[runner.Note]:
    """Note that this process runs a task, for as long as the block lasts; yield what notes its batches."""
    note = _note()
    if note is None:
        yield lambda *_: None
        return
    note.begin()
    try:
        yield note.of
    finally:
        note.end()


@app.task(name=TASK_NAME)
def process(payload: bytes) -> runner.Summary:
    """Run what a task carries, once; the result is its summary. No result where nothing of it was needed."""
    started_s = perf_counter()
    with bounded(load().run_limit_s), _noted() as note:
        with worker_metrics.counted((msgspec.MsgspecError, TypeError), "worker_foreign_tasks"):
            carried = batches.unpack(payload)
        pools = {worker_metrics.pool_label(batch.pool) for batch in carried}
        tracing.note(
            lane=" ".join(str(batch.lane) for batch in carried), seq_last=max(batch.to.seq for batch in carried)
        )
        with (
            bound_contextvars(task_id=process.request.id or batches.task_id(carried)),
            _told_if_refused(),
            worker_metrics.counted(Exception, "worker_failed", *pools),
        ):
            dones = runner.run(carried, _ledger(), _strategies.find, note=note)
    seconds = perf_counter() - started_s
    for name, fenced in (Counter(b.pool for b in carried) - Counter(done.pool for done in dones)).items():
        worker_metrics.count("worker_fenced", worker_metrics.pool_label(name), by=fenced)
    if not dones:
        raise Ignore
    worker_metrics.committed(dones, seconds)
    summary = runner.summary(dones)
    tracing.note(events=summary.events, repeats=summary.repeats, signals=summary.signals, errors=summary.errors)
    summary.seconds = round(seconds, 6)
    return summary
