"""What a worker reports of its runs: log lines with their batch, traces, the duration of batches, strategies' errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import RunProgress
from tasks.events import AnyEvent
from tasks.protocol.batches import Batch
from tasks.protocol.outcome import Outcome
from tasks.telemetry import tracing
from tasks.telemetry.log_throttle import LogThrottle
from tasks.telemetry.logs import about
from tasks.worker.batch_timing import BatchTimings
from tasks.worker.run_note import RunNote
from tasks.worker.run_observer import RunObserver
from tasks.worker.strategy_errors import StrategyErrors
from tasks.worker.strategy_times import StrategyTimes

log = structlog.get_logger()


class RunReporter(RunObserver):
    """The observer of one process, for all of its tasks."""

    def __init__(self, note: RunNote | None = None) -> None:
        """`note` is where this process writes what it runs, for whoever watches it."""
        self._note = note
        self._timings, self._strategy_errors, self._throttle = BatchTimings(), StrategyErrors(), LogThrottle()
        self._strategy_times = StrategyTimes()

    def expected_s(self, batch: Batch[AnyEvent]) -> float:
        """Return the seconds that a batch will take by the last one of its pool; 0: unknown."""
        return self._timings.expected_s(batch)

    @contextmanager
    def running(self, batch: Batch[AnyEvent]) -> Iterator[None]:
        """Name the batch in all that the block logs, and measure how long the block takes."""
        with about(batch), self._timings.noted(batch):
            yield

    def progress(self, batch: Batch[AnyEvent], strategies: Sequence[BoundStrategy]) -> RunProgress | None:
        """Note which batch runs; return where its run writes its progress."""
        return self._note.note_batch(batch, strategies) if self._note else None

    def ran(self, began_ns: int, outcome: Outcome) -> list[str]:
        """Record a span and the time of each strategy; return the trace that each signal belongs to."""
        self._strategy_times.add(outcome)
        return tracing.strategies(began_ns, outcome.spent_ns, outcome.emitters)

    def newer_state(self, why: str) -> None:
        """Log, at most once in an interval, that a lane waits."""
        if self._throttle.allow():
            log.warning("a lane waits for workers of a newer release", why=why)

    def committed(self, batch: Batch[AnyEvent], outcome: Outcome) -> None:
        """Log the errors of strategies."""
        with about(batch):
            self._strategy_errors.record(outcome.letters)

    def not_needed(self, batch: Batch[AnyEvent], why: str) -> None:
        """Record why nothing was committed, in the trace and the debug log."""
        with about(batch):
            tracing.note(not_needed=why)
            log.debug("batch not needed", why=why)
