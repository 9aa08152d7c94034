"""The Celery task. What happens to its batches is in `runner`; here is what stands around it.

Each concern is a context manager or a function of its own: the time limit, the note of what runs, the log's context,
Redis's refusals, metrics and the trace.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter

from structlog.contextvars import bound_contextvars

from tasks.celery import app
from tasks.events import AnyEvent
from tasks.ledger import Ledger
from tasks.protocol import batches
from tasks.protocol.batches import Batch
from tasks.protocol.task_name import TASK_NAME
from tasks.settings import load
from tasks.settings.values import MAX_SHARDS
from tasks.telemetry import tracing
from tasks.telemetry.rate_limit import RateLimit
from tasks.worker import runner, worker_metrics
from tasks.worker.entries.refused_entries import ignored_if_foreign
from tasks.worker.refused_by_redis import ignored_if_refused
from tasks.worker.run_note import noted, of_process
from tasks.worker.run_reporter import RunReporter
from tasks.worker.strategy_cache import StrategyCache
from tasks.worker.time_limit import bounded
from tasks.worker.without_result import without_result

#: The result of a task of fewer events is stored only as often as SMALL_RESULTS_PER_S allows: it costs as much as their
#: commit.
SMALL_EVENTS = 100
_strategies = StrategyCache()


@lru_cache(maxsize=MAX_SHARDS)
def _ledger(shard: int) -> Ledger:
    return _ledger(0).of_shard(load(), shard) if shard else Ledger.connect(load())


@lru_cache(maxsize=1)
def _reporter() -> RunReporter:
    return RunReporter(of_process())


@lru_cache(maxsize=1)
def _small_results() -> RateLimit:
    return RateLimit(load().small_results_per_s)


@app.task(name=TASK_NAME)
def process(payload: bytes) -> runner.TaskSummary:
    """Run what a task carries, once; the result is its summary. No result where nothing of it was needed."""
    started_s = perf_counter()
    with bounded(load().run_limit_s), noted():
        carried = _unpack(payload)
        with _log_context(carried), ignored_if_refused(), _failures_counted(carried):
            results = runner.run(carried, _ledger(carried[0].shard), _strategies.find, observer=_reporter())
    return _report(carried, results, perf_counter() - started_s)


def _unpack(payload: bytes) -> Sequence[Batch[AnyEvent]]:
    with ignored_if_foreign(payload, _ledger(0).keep_letter):
        carried = batches.unpack(payload)
    tracing.note(lane=" ".join(str(batch.lane) for batch in carried), seq_last=max(batch.to.seq for batch in carried))
    return carried


@contextmanager
def _log_context(carried: Sequence[Batch[AnyEvent]]) -> Iterator[None]:
    with bound_contextvars(task_id=process.request.id or batches.task_id(carried)):
        yield


@contextmanager
def _failures_counted(carried: Sequence[Batch[AnyEvent]]) -> Iterator[None]:
    pools = {worker_metrics.pool_label(batch.pool) for batch in carried}
    with worker_metrics.counted(Exception, "worker_failed", *pools):
        yield


def _report(
    carried: Sequence[Batch[AnyEvent]], results: Sequence[runner.BatchResult], seconds: float
) -> runner.TaskSummary:
    """Count what was committed and what was not; return the summary. Raises Ignore: nothing was committed."""
    for name, fenced in (Counter(batch.pool for batch in carried) - Counter(done.pool for done in results)).items():
        worker_metrics.count("worker_fenced", worker_metrics.pool_label(name), by=fenced)
    if not results:
        raise without_result()
    worker_metrics.committed(results, seconds)
    summary = runner.summary(results)
    tracing.note(events=summary.events, repeats=summary.repeats, signals=summary.signals, errors=summary.errors)
    summary.seconds = round(seconds, 6)
    if summary.events < SMALL_EVENTS and not _small_results().allow():
        process.request.ignore_result = True
    return summary
