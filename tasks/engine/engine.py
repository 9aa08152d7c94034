"""The engine: a pure function of (states, events, configuration). The same code runs live and in the backtest.

    outcome = run(batch's events, what the ledger holds, strategies)

Nothing here opens a socket, asks a clock or keeps anything from one call to the next but how things are called.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, Protocol

import msgspec

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import strategy_run
from tasks.engine.fatal_errors import IsFatal, is_fatal
from tasks.engine.strategy_run import StrategyRun
from tasks.errors import UNREADABLE
from tasks.events import AnyEvent, Kind, Venue
from tasks.protocol import dead_letters, records
from tasks.protocol.counters import Counts
from tasks.protocol.dead_letters import DeadLetter
from tasks.protocol.outcome import Outcome
from tasks.protocol.strikes import NOTHING, Spared

#: Gives nanoseconds that only rise.
Clock = Callable[[], int]


class Place(Protocol):
    """Holds the position of the event that a run is at, and the number of the strategy, from 1; 0: none."""

    def __setitem__(self, index: int, value: int, /) -> None:
        """Set one of the two."""


class Conditions(NamedTuple):
    """How a run goes. The defaults are the backtest's."""

    #: With it, the outcome says what each strategy spent, and `place` is kept.
    clock_ns: Clock | None = None
    #: Whether an exception out of a strategy's code ends the run, or is the strategy's error on the event.
    is_fatal: IsFatal = is_fatal
    #: Says at any time which event and strategy the run is at.
    place: Place | None = None
    #: What is not tried.
    spared: Spared = NOTHING


DEFAULT = Conditions()


class _Names(NamedTuple):
    """What the record of a stream of events is called, and the state of each strategy."""

    record: str
    states: tuple[str, ...]


@lru_cache(maxsize=8_192)
def _names(venue: Venue, symbol: str, kind: Kind, strategies: tuple[BoundStrategy, ...]) -> _Names:
    states = tuple(strategy_run.field(venue, symbol, each.strategy) for each in strategies)
    return _Names(records.named(venue, symbol, kind), states)


def fields(events: Sequence[AnyEvent], strategies: Sequence[BoundStrategy]) -> tuple[str, ...]:
    """Return the names of the records and states that `run` will want, each once."""
    several = tuple(strategies)
    named = [_names(event.venue, event.symbol, event.kind, several) for event in events]
    return tuple(dict.fromkeys(chain((each.record for each in named), *(each.states for each in named))))


class BatchRun:
    """One run of the strategies over a batch."""

    def __init__(
        self,
        pool: str,
        source: str,
        strategies: Sequence[BoundStrategy],
        config_version: str,
        held: Mapping[str, bytes | None],
        conditions: Conditions = DEFAULT,
    ) -> None:
        """Start from what the ledger holds: `held` has a value or None for each of `fields`."""
        self._pool, self._source, self._config_version = pool, source, config_version
        self._strategies, self._held = tuple(strategies), held
        self._records: dict[str, records.Record] = {}
        #: The events that each record took.
        self._taken: dict[str, list[AnyEvent]] = {}
        self._states: dict[str, StrategyRun] = {}
        self._clock_ns, self._is_fatal = conditions.clock_ns, conditions.is_fatal
        self._place: Place = [0, 0] if conditions.place is None else conditions.place
        self._spared = conditions.spared if conditions.spared != NOTHING else None
        self._outcome = Outcome({}, [], [], [], Counts())
        #: Counted for every event, so apart.
        self._applied = self._repeats = self._gaps = 0
        self._outcome.spent_ns = {strategy.name: 0 for strategy in strategies}

    def finish(self, events: Sequence[AnyEvent]) -> Outcome:
        """Return every event to the strategies. Raises NewerStateError and what is fatal."""
        for event in events:
            self._take(event)
        for name, taken in self._taken.items():
            self._records[name].chain(taken)
        outcome = self._outcome
        outcome.counts.add("applied", by=self._applied)
        outcome.counts.add("repeats", by=self._repeats)
        outcome.counts.add("gaps", by=self._gaps)
        outcome.fields = {name: records.pack(record) for name, record in self._records.items()}
        outcome.fields |= {name: self._saved(run) for name, run in self._states.items()}
        return outcome

    def _saved(self, run: StrategyRun) -> bytes:
        try:
            return run.pack()
        except BaseException as error:
            # A state of what can't be saved must not hold up the lane.
            if self._is_fatal(error):
                raise
            self._record_error(error, run.strategy.name, None)
            run.start_anew()
            return run.pack()

    def _take(self, event: AnyEvent) -> None:
        name, states = _names(event.venue, event.symbol, event.kind, self._strategies)
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = self._record(name, event)
        verdict = record.classify(event, self._source)
        if verdict == "repeat":
            record.pass_over(event, self._source)
            self._repeats += 1
        elif verdict == "new":
            gaps = record.gaps
            record.take(event, self._source)
            self._taken.setdefault(name, []).append(event)
            self._applied += 1
            self._gaps += record.gaps - gaps
            self._note_configuration(record, event)
            if self._clock_ns is None:
                for strategy, state_name in zip(self._strategies, states, strict=True):
                    self._run_strategy(event, strategy, state_name)
            else:
                self._run_timed(event, states, self._clock_ns)

    def _record(self, name: str, event: AnyEvent) -> records.Record:
        try:
            return records.unpack(self._held.get(name))
        except UNREADABLE as error:
            # A lane must not stand still because a record can't be read.
            self._record_unreadable(name, str(error), event)
            return records.unpack(None)

    def _note_configuration(self, record: records.Record, event: AnyEvent) -> None:
        if record.configuration == self._config_version:
            return
        record.configuration = self._config_version
        line = {
            "config_version": self._config_version,
            "pool": self._pool,
            "venue": event.venue,
            "symbol": event.symbol,
            "kind": event.kind,
            "id": event.id,
            "time_ms": event.time_ms,
        }
        self._outcome.audit.append(msgspec.json.encode(line))

    def _run_timed(self, event: AnyEvent, states: Sequence[str], clock_ns: Clock) -> None:
        spent_ns, began_ns, place = self._outcome.spent_ns, clock_ns(), self._place
        place[0] = event.seq
        for number, (strategy, state_name) in enumerate(zip(self._strategies, states, strict=True), start=1):
            place[1] = number
            self._run_strategy(event, strategy, state_name)
            ended_ns = clock_ns()
            spent_ns[strategy.name] += ended_ns - began_ns
            began_ns = ended_ns
        place[1] = 0

    def _run_strategy(self, event: AnyEvent, strategy: BoundStrategy, state_name: str) -> None:
        if self._spared and self._is_spared(event, strategy, self._spared):
            return
        run = self._states.get(state_name) or self._state(event, strategy, state_name)
        try:
            said = run.apply(event)
        except BaseException as error:
            # A strategy may raise anything; it is told of in the dead letter.
            if self._is_fatal(error):
                raise
            self._record_error(error, strategy.name, event)
            run.rebuild()
            return
        if said.signals:
            self._outcome.signals += said.signals
            self._outcome.counts.add("signals", strategy.name, by=len(said.signals))
            self._outcome.actions.update((strategy.name, action) for action in said.actions)
        if said.held:
            self._outcome.held += said.held
            for reason in said.reasons:
                self._outcome.counts.add("held", reason)

    def _is_spared(self, event: AnyEvent, strategy: BoundStrategy, spared: Spared) -> bool:
        """Whether a strategy must not be given an event; where it is the strategy's error, that is told of."""
        if (strategy.name, event.seq) in spared.events:
            detail = "every run that gave this event to this strategy ended with its process"
            self._raised(dead_letters.raised(detail, self._pool, strategy.name, event))
            return True
        return strategy.name in spared.strategies

    def _record_error(self, error: BaseException, strategy: str, event: AnyEvent | None) -> None:
        """Write the dead letter of an exception."""
        detail = "".join(traceback.format_exception(error, limit=-12))
        self._raised(dead_letters.raised(detail, self._pool, strategy, event))
        # One that a strategy makes once and raises for every event would collect the traces, and all that they hold.
        BaseException.with_traceback(error, None)

    def _raised(self, letter: DeadLetter) -> None:
        self._outcome.letters.append(dead_letters.pack(letter))
        self._outcome.counts.add("errors", letter.strategy)

    def _record_unreadable(self, name: str, why: str, event: AnyEvent, strategy: str = "") -> None:
        letter = dead_letters.unreadable(name, why, self._held.get(name) or b"", self._pool, strategy, event)
        self._outcome.letters.append(dead_letters.pack(letter))

    def _state(self, event: AnyEvent, strategy: BoundStrategy, name: str) -> StrategyRun:
        run = self._states[name] = StrategyRun(
            strategy.for_symbol(event.symbol),
            strategy.gate,
            self._held.get(name),
            self._config_version,
            self._is_fatal,
        )
        if run.unreadable:
            self._record_unreadable(name, run.unreadable, event, strategy.name)
        return run
