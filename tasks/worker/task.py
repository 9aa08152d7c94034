"""The Celery task. Thin: what happens to its batches is in `runner`."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter

import msgspec
from celery.exceptions import Ignore
from structlog.contextvars import bound_contextvars

from tasks.celery import app
from tasks.ledger import Ledger
from tasks.protocol import batches
from tasks.protocol.task_name import TASK_NAME
from tasks.settings import load
from tasks.telemetry import tracing
from tasks.worker import runner, worker_metrics
from tasks.worker.refused_by_redis import ignored_if_refused
from tasks.worker.run_note import SOLO, RunNote, of_child
from tasks.worker.strategy_cache import StrategyCache
from tasks.worker.time_limit import bounded


@lru_cache(maxsize=1)
def _ledger() -> Ledger:
    return Ledger.connect(load())


_strategies = StrategyCache()


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
def process(payload: bytes) -> runner.TaskSummary:
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
            ignored_if_refused(),
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
