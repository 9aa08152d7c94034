"""How a worker deals with one batch: read the ledger, decide, run the strategies, commit through the fence.

Every way out but the last commit leaves the ledger as it was:

    foreign epoch            an ingest that was superseded sent it
    position at or beyond    a repeat: the notice got lost, so it is published again
    position elsewhere       a copy from another time
    a state from the future  a newer release has to go on with it
    too many starts          its earlier runs died with their workers: ingest halves it or gives the event up
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import redis
import stamina
import structlog

from tasks import engine
from tasks.batches import Batch, max_starts
from tasks.events import AnyEvent
from tasks.ledger import Begun, Ledger
from tasks.state import NewerStateError
from tasks.strategy import AnyStrategy

AWAY = (redis.ConnectionError, redis.TimeoutError)
log = structlog.get_logger()

#: Gives the strategies of a pool under a configuration: (ledger, version, pool).
FindStrategies = Callable[[Ledger, str, str], Sequence[AnyStrategy]]


class Summary(msgspec.Struct):
    """What a batch came to: the Celery result of its task."""

    events: int
    repeats: int
    signals: int
    errors: int


def run(
    batch: Batch[AnyEvent],
    ledger: Ledger,
    find_strategies: FindStrategies,
    machine_faults: tuple[type[BaseException], ...],
) -> Summary | None:
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
    if isinstance(done, Summary):
        return done
    _take_back(batch, ledger)
    ledger.count("fenced")
    log.info("batch not needed", lane=str(batch.lane), task_id=batch.task_id, why=done)
    return None


def _run(
    batch: Batch[AnyEvent],
    ledger: Ledger,
    strategies: Sequence[AnyStrategy],
    machine_faults: tuple[type[BaseException], ...],
) -> Summary | str:
    """Give the summary of what was committed, or say why nothing was."""
    begun = ledger.begin(batch, engine.fields(batch.events, strategies))
    refusal = _refusal(batch, begun)
    if refusal == "repeat" and begun.position is not None:
        ledger.notify(batch, begun.position)
    if refusal is not None:
        return refusal
    run_ = engine.Run(batch.pool, batch.to.source, strategies, batch.configuration, begun.held, machine_faults)
    try:
        outcome = run_.finish(batch.events)
    except NewerStateError as error:
        return str(error)
    committed = _when_redis_is_back(ledger.commit, batch, outcome)
    if committed != "committed":
        return f"fenced by {committed}"
    counts = outcome.counts
    errors = sum(count for name, count in counts.items() if name.startswith("errors:"))
    return Summary(len(batch.events), counts["repeats"], len(outcome.signals), errors)


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
