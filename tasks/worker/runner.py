"""A worker's processing of a task: read the ledger, decide, run the strategies, commit through the fence.

A task carries batches of different lanes, which share its two round trips and nothing else: each is decided on, and
committed or not, for itself. What is quick runs first, and is committed before what takes long. Every way out but the
last commit leaves the ledger as it was:

    foreign epoch            an ingest that was superseded sent it
    position at or beyond    a repeat: the notice got lost, so it is published again
    position elsewhere       a copy from another time
    a state was reset        since it was read; ingest sends the batch again
    a state from the future  a newer release has to go on with it
    too many starts          its earlier runs died with their workers: ingest halves it or gives the event up
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter, perf_counter_ns, time_ns
from typing import Any

import msgspec
import redis
import stamina
import structlog
from billiard.exceptions import SoftTimeLimitExceeded

from tasks import engine
from tasks.clients.redis_client import FAILED, UNAVAILABLE
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine.strategy_run import NewerStateError
from tasks.errors import LedgerError, RealtimeStrategiesError
from tasks.events import AnyEvent
from tasks.fatal_errors import IsFatal, is_fatal
from tasks.ledger import BatchStart, Committed, Ledger
from tasks.protocol.batches import Batch, max_starts
from tasks.protocol.counters import CounterKey
from tasks.protocol.outcome import Outcome
from tasks.worker.run_observer import RunObserver

#: Errors not caused by the batch's events: files, imports, the ledger.
NOT_THE_EVENTS = (OSError, ImportError, RealtimeStrategiesError)
#: Errors of the ledger, which ingest is told: Redis refuses something, or holds something else than was asked for.
THE_LEDGERS = (redis.ResponseError, LedgerError)
#: Errors that count as the process's end: out of memory, time limit. The start is not released.
FATAL = (MemoryError, SoftTimeLimitExceeded)
log = structlog.get_logger()

#: What is done for so long is committed, though the task has more to do: another round trip costs less than waiting.
COMMIT_AFTER_S = 0.01

#: Gives the strategies of a pool under a configuration: (ledger, version, pool).
FindStrategies = Callable[[Ledger, str, str], Sequence[BoundStrategy]]


class TaskSummary(msgspec.Struct):
    """Totals of a task: its Celery result."""

    events: int
    repeats: int
    signals: int
    errors: int
    seconds: float = 0.0

    def __repr__(self) -> str:
        """Return it in words, as Flower and the worker's log show it; zeros are left out, except for signals."""
        counted = [(self.events, "event"), (self.signals, "signal"), (self.repeats, "repeat"), (self.errors, "error")]
        return ", ".join(
            f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
            for count, word in counted
            if count or word in {"event", "signal"}
        )

    def __json__(self) -> dict[str, Any]:
        """Return what is stored; kombu asks."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields


class BatchResult(msgspec.Struct, frozen=True):
    """Result of a committed batch, for metrics and logs."""

    pool: str
    events: int
    #: Events that were given to strategies, and those that repeat an earlier one.
    applied: int
    repeats: int
    #: By strategy and action.
    signals: Mapping[tuple[str, str], int]
    #: Signals that the gate held back, by reason.
    held: Mapping[str, int]
    #: Signals that became no order of the paper account, or only in part, by reason.
    unfilled: Mapping[str, int]
    #: By strategy.
    errors: Mapping[str, int]
    #: Nanoseconds, for every strategy that the batch ran.
    spent_ns: Mapping[str, int]


def summary(results: Iterable[BatchResult]) -> TaskSummary:
    """Sum up what was committed: the Celery result."""
    total = TaskSummary(0, 0, 0, 0)
    for done in results:
        total.events += done.events
        total.repeats += done.repeats
        total.signals += sum(done.signals.values())
        total.errors += sum(done.errors.values())
    return total


def run(
    carried: Sequence[Batch[AnyEvent]],
    ledger: Ledger,
    find_strategies: FindStrategies,
    is_fatal: IsFatal = is_fatal,
    observer: RunObserver | None = None,
    commit_after_s: float = COMMIT_AFTER_S,
) -> list[BatchResult]:
    """Run the batches of a task once; return what was committed. A run whose process survives releases its start.

    What has been done for longer than `commit_after_s` is committed before the next batch runs. Raises what Redis
    raises, what `is_fatal` calls fatal, and what the engine raises on the events of a batch. `FATAL` and what ends the
    process, such as SystemExit, leave the starts counted of all batches that are not committed; an error on a batch's
    events leaves that batch's start counted. All other starts are released, as is that of a batch that is not needed.
    """
    observer = observer or RunObserver()
    quick_first = sorted(carried, key=observer.expected_s)
    try:
        runs = [
            _LaneRun(batch, find_strategies(ledger, batch.configuration, batch.pool), observer) for batch in quick_first
        ]
    except THE_LEDGERS as error:
        ledger.publish_refusal(carried, error)
        raise
    try:
        _run(runs, ledger, is_fatal, commit_after_s)
    except FATAL:
        raise
    except Exception as error:
        _release_starts([each.batch for each in runs if not each.raised], ledger)
        if isinstance(error, THE_LEDGERS):
            ledger.publish_refusal([each.batch for each in runs if not (each.done or each.refusal)], error)
        raise
    if refused := [each for each in runs if each.refusal]:
        for each in refused:
            each.pass_over(ledger)
        ledger.count(CounterKey("fenced"), len(refused))
    return [each.done for each in runs if each.done]


class _LaneRun:
    """The run of one batch."""

    def __init__(self, batch: Batch[AnyEvent], strategies: Sequence[BoundStrategy], observer: RunObserver) -> None:
        self.batch, self.strategies, self._observer = batch, strategies, observer
        #: What it is about to commit, and how often states had been reset when its own were read.
        self.outcome: Outcome | None = None
        self.resets = b""
        #: Why nothing was committed; or what was.
        self.refusal: str | None = None
        self.done: BatchResult | None = None
        #: Whether it brought about an exception that it would bring about again: a strategy's alone does not get here.
        self.raised = False

    def work(self, begun: BatchStart, is_fatal: IsFatal) -> None:
        """Run the strategies over the events, unless there is a reason not to."""
        with self._observer.running(self.batch):
            self._work(begun, is_fatal)

    def _work(self, begun: BatchStart, is_fatal: IsFatal) -> None:
        batch = self.batch
        self.refusal = _refusal(batch, begun)
        if self.refusal is not None:
            return
        run_ = engine.BatchRun(
            batch.pool,
            batch.to.source,
            self.strategies,
            batch.configuration,
            begun.held,
            engine.RunOptions(
                perf_counter_ns, is_fatal, self._observer.progress(batch, self.strategies), begun.excluded
            ),
        )
        began_ns = time_ns()
        try:
            outcome = run_.finish(batch.events)
        except NewerStateError as error:
            self.refusal = str(error)
            self._observer.newer_state(self.refusal)
            return
        except NOT_THE_EVENTS:
            raise
        except Exception:
            self.raised = True
            raise
        outcome.traces = self._observer.ran(began_ns, outcome)
        self.outcome, self.resets = outcome, begun.resets

    def pass_over(self, ledger: Ledger) -> None:
        """Leave a batch that was not needed as it was."""
        _release_start(self.batch, ledger)
        self._observer.not_needed(self.batch, self.refusal or "")

    def end(self, committed: Committed) -> None:
        """Handle the result of the commit."""
        if committed == "committed" and self.outcome:
            self._observer.committed(self.batch, self.outcome)
            self.done = _done(self.batch, self.outcome)
        else:
            self.refusal = f"fenced by {committed}"


def _run(runs: Sequence[_LaneRun], ledger: Ledger, is_fatal: IsFatal, commit_after_s: float) -> None:
    begun = ledger.begin([(each.batch, engine.fields(each.batch.events, each.strategies)) for each in runs])
    worked: list[_LaneRun] = []
    since_s = perf_counter()
    for each, start in zip(runs, begun, strict=True):
        if worked and perf_counter() - since_s > commit_after_s:
            _commit(worked, ledger)
            worked, since_s = [], perf_counter()
        each.work(start, is_fatal)
        if each.refusal == "repeat" and start.position is not None:
            ledger.notify(each.batch, start.position)
        if each.outcome:
            worked.append(each)
    if worked:
        _commit(worked, ledger)


def _commit(worked: Sequence[_LaneRun], ledger: Ledger) -> None:
    answers = _when_redis_is_back(ledger.commit, [(each.batch, each.outcome, each.resets) for each in worked])
    for each, committed in zip(worked, answers, strict=True):
        each.end(committed)


def _done(batch: Batch[AnyEvent], outcome: Outcome) -> BatchResult:
    counts = outcome.counts
    return BatchResult(
        batch.pool,
        len(batch.events),
        counts.of("applied"),
        counts.of("repeats"),
        outcome.actions,
        counts.by_label("held"),
        counts.by_label("unfilled"),
        counts.by_label("errors"),
        outcome.spent_ns,
    )


def _refusal(batch: Batch[AnyEvent], begun: BatchStart) -> str | None:
    if begun.epoch != str(batch.epoch):
        return f"foreign epoch {begun.epoch}"
    if begun.position is not None and begun.position.covers(batch.to):
        return "repeat"
    if begun.position != batch.prev:
        return f"the lane stands at {begun.position}"
    if begun.starts > max_starts(len(batch.events)):
        return f"started {begun.starts} times"
    return None


def _when_redis_is_back(call: Callable[..., Any], *arguments: Any) -> Any:
    """Make a call, repeated for as long as Redis may be unavailable without this run being sent again for it."""
    with suppress(*UNAVAILABLE):
        return call(*arguments)
    for attempt in stamina.retry_context(on=UNAVAILABLE, attempts=None, timeout=8.0, wait_initial=0.02, wait_max=1.0):
        with attempt:
            return call(*arguments)
    return None


def _release_starts(batches: Iterable[Batch[AnyEvent]], ledger: Ledger) -> None:
    for batch in batches:
        if not _release_start(batch, ledger) and ledger.is_one_of_several:
            return


def _release_start(batch: Batch[AnyEvent], ledger: Ledger) -> bool:
    """Release the start; return whether it is. Where Redis stays unavailable it stays counted: one of a batch's few.

    A ledger that is one of several is not waited for: this process has batches of other shards to run.
    """
    try:
        if ledger.is_one_of_several:
            ledger.release_start(batch)
        else:
            _when_redis_is_back(ledger.release_start, batch)
    except FAILED as error:
        log.warning("a start could not be released", task_id=batch.task_id, error=str(error))
        return False
    return True
