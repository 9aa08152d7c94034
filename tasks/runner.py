"""How a worker deals with one batch: read the ledger, decide, run the strategies, commit through the fence.

Every way out but the last commit leaves the ledger as it was:

    foreign epoch            an ingest that was superseded sent it
    position at or beyond    a repeat: the notice got lost, so it is published again
    position elsewhere       a copy from another time
    a state was reset        since it was read; ingest sends the batch again
    a state from the future  a newer release has to go on with it
    too many starts          its earlier runs died with their workers: ingest halves it or gives the event up
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns, time_ns
from typing import Any

import msgspec
import redis
import stamina
import structlog

from tasks import engine, tracing
from tasks.batches import Batch, max_starts
from tasks.events import AnyEvent
from tasks.ledger import Begun, Ledger
from tasks.outcome import Outcome
from tasks.state import NewerStateError
from tasks.strategy import AnyStrategy
from tasks.strategy_errors import StrategyErrors

AWAY = (redis.ConnectionError, redis.TimeoutError)
log = structlog.get_logger()
_strategy_errors = StrategyErrors()

#: Gives the strategies of a pool under a configuration: (ledger, version, pool).
FindStrategies = Callable[[Ledger, str, str], Sequence[AnyStrategy]]


class Summary(msgspec.Struct):
    """What a batch came to: the Celery result of its task."""

    events: int
    repeats: int
    signals: int
    errors: int


class Done(msgspec.Struct, frozen=True):
    """What a committed batch came to, for who counts it."""

    events: int
    #: Events that were given to strategies, and those that repeat an earlier one.
    applied: int
    repeats: int
    #: By strategy and action.
    signals: Mapping[tuple[str, str], int]
    #: Signals that the gate held back, by reason.
    held: Mapping[str, int]
    #: By strategy.
    errors: Mapping[str, int]
    #: Nanoseconds, for every strategy that the batch ran.
    spent_ns: Mapping[str, int]

    @property
    def summary(self) -> Summary:
        """The Celery result."""
        return Summary(self.events, self.repeats, sum(self.signals.values()), sum(self.errors.values()))


def run(
    batch: Batch[AnyEvent],
    ledger: Ledger,
    find_strategies: FindStrategies,
    machine_faults: tuple[type[BaseException], ...],
) -> Done | None:
    """Run a batch once; None when there was nothing to do. A run that ends alive takes its start back.

    Raises what Redis raises, and the machine's faults, which count as a run that never ended; so does whatever ends
    the process, such as SystemExit.
    """
    strategies = find_strategies(ledger, batch.configuration, batch.pool)
    machine_faults = (*engine.MACHINE_FAULTS, *machine_faults)
    try:
        done = _run(batch, ledger, strategies, machine_faults)
    except machine_faults:
        raise
    except Exception:
        _take_back(batch, ledger)
        raise
    if isinstance(done, Done):
        return done
    _take_back(batch, ledger)
    ledger.count("fenced")
    tracing.note(not_needed=done)
    log.debug("batch not needed", lane=str(batch.lane), task_id=batch.task_id, why=done)
    return None


def _run(
    batch: Batch[AnyEvent],
    ledger: Ledger,
    strategies: Sequence[AnyStrategy],
    machine_faults: tuple[type[BaseException], ...],
) -> Done | str:
    """Give what was committed, or say why nothing was."""
    begun = ledger.begin(batch, engine.fields(batch.events, strategies))
    refusal = _refusal(batch, begun)
    if refusal == "repeat" and begun.position is not None:
        ledger.notify(batch, begun.position)
    if refusal is not None:
        return refusal
    run_ = engine.Run(
        batch.pool, batch.to.source, strategies, batch.configuration, begun.held, machine_faults, perf_counter_ns
    )
    began_ns = time_ns()
    try:
        outcome = run_.finish(batch.events)
    except NewerStateError as error:
        return str(error)
    outcome.traces = tracing.strategies(began_ns, outcome.spent_ns, outcome.signals)
    committed = _when_redis_is_back(ledger.commit, batch, outcome, begun.resets)
    if committed != "committed":
        return f"fenced by {committed}"
    _strategy_errors.tell(outcome.letters)
    return _done(len(batch.events), outcome)


def _done(events: int, outcome: Outcome) -> Done:
    labelled: dict[str, dict[str, int]] = {"held": {}, "errors": {}}
    for name, count in outcome.counts.items():
        kind, _, label = name.partition(":")
        if kind in labelled:
            labelled[kind][label] = count
    applied, repeats = outcome.counts["applied"], outcome.counts["repeats"]
    return Done(events, applied, repeats, outcome.actions, labelled["held"], labelled["errors"], outcome.spent_ns)


def _refusal(batch: Batch[AnyEvent], begun: Begun) -> str | None:
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
    """Make a call that may be repeated, for as long as Redis may be away without this run being sent again for it."""
    for attempt in stamina.retry_context(on=AWAY, attempts=None, timeout=8.0, wait_initial=0.02, wait_max=1.0):
        with attempt:
            return call(*arguments)
    return None


def _take_back(batch: Batch[AnyEvent], ledger: Ledger) -> None:
    """Take the start back. Where Redis stays away it is left standing: one of the few that a batch may have."""
    try:
        _when_redis_is_back(ledger.take_back, batch)
    except redis.RedisError as error:
        log.warning("a start could not be taken back", task_id=batch.task_id, error=str(error))
