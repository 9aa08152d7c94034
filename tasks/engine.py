"""The engine: a pure function of (states, events, configuration). The same code runs live and in the backtest.

    outcome = run(batch's events, what the ledger holds, strategies)

Nothing here opens a socket, asks a clock or keeps anything from one call to the next but how things are called.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

import msgspec

from tasks import deadletters, records, state
from tasks.errors import UNREADABLE
from tasks.events import AnyEvent, Kind, Venue
from tasks.fatal import IsFatal, is_fatal
from tasks.outcome import Outcome
from tasks.state import StateRun
from tasks.strategy import AnyStrategy

#: Gives nanoseconds that only rise.
Clock = Callable[[], int]


class _Names(NamedTuple):
    """What the record of a stream of events is called, and the state of each strategy."""

    record: str
    states: tuple[str, ...]


@lru_cache(maxsize=8_192)
def _names(venue: Venue, symbol: str, kind: Kind, strategies: tuple[AnyStrategy, ...]) -> _Names:
    states = tuple(state.field(venue, symbol, strategy) for strategy in strategies)
    return _Names(records.named(venue, symbol, kind), states)


def fields(events: Sequence[AnyEvent], strategies: Sequence[AnyStrategy]) -> tuple[str, ...]:
    """Give the names of the records and states that `run` will want, each once."""
    several = tuple(strategies)
    named = [_names(event.venue, event.symbol, event.kind, several) for event in events]
    return tuple(dict.fromkeys(chain((each.record for each in named), *(each.states for each in named))))


class Run:
    """One batch on its way through the strategies."""

    def __init__(
        self,
        pool: str,
        source: str,
        strategies: Sequence[AnyStrategy],
        config_version: str,
        held: Mapping[str, bytes | None],
        clock_ns: Clock | None = None,
        is_fatal: IsFatal = is_fatal,
    ) -> None:
        """Start from what the ledger holds: `held` has a value or None for each of `fields`.

        With a clock, the outcome says what each strategy spent. What `is_fatal` says of an exception out of a
        strategy's code decides whether it ends the run or is the strategy's error on the event.
        """
        self._pool, self._source, self._config_version = pool, source, config_version
        self._strategies, self._held, self._is_fatal = tuple(strategies), held, is_fatal
        self._records: dict[str, records.Record] = {}
        #: The events that each record took.
        self._taken: dict[str, list[AnyEvent]] = {}
        self._states: dict[str, StateRun] = {}
        self._clock_ns = clock_ns
        self._outcome = Outcome({}, [], [], [], Counter())
        self._outcome.spent_ns = {strategy.name: 0 for strategy in strategies}

    def finish(self, events: Sequence[AnyEvent]) -> Outcome:
        """Give every event to the strategies. Raises NewerStateError and what is fatal."""
        for event in events:
            self._take(event)
        for name, taken in self._taken.items():
            self._records[name].chain(taken)
        outcome = self._outcome
        outcome.fields = {name: records.pack(record) for name, record in self._records.items()}
        outcome.fields |= {name: self._saved(run) for name, run in self._states.items()}
        return outcome

    def _saved(self, run: StateRun) -> bytes:
        try:
            return run.pack()
        except BaseException as error:
            # A state of what can't be saved must not hold up the lane.
            if self._is_fatal(error):
                raise
            self._tell(run.strategy, None)
            run.start_anew()
            return run.pack()

    def _take(self, event: AnyEvent) -> None:
        name, states = _names(event.venue, event.symbol, event.kind, self._strategies)
        record = self._records.get(name)
        if record is None:
            record = self._records[name] = self._record(name, event)
        verdict = record.judge(event, self._source)
        if verdict == "repeat":
            record.pass_over(event, self._source)
            self._outcome.counts["repeats"] += 1
        elif verdict == "new":
            gaps = record.gaps
            record.take(event, self._source)
            self._taken.setdefault(name, []).append(event)
            self._outcome.counts["applied"] += 1
            self._outcome.counts["gaps"] += record.gaps - gaps
            self._note_configuration(record, event)
            if self._clock_ns is None:
                for strategy, state_name in zip(self._strategies, states, strict=True):
                    self._give(event, strategy, state_name)
            else:
                self._give_timed(event, states, self._clock_ns)

    def _record(self, name: str, event: AnyEvent) -> records.Record:
        try:
            return records.unpack(self._held.get(name))
        except UNREADABLE as error:
            # A lane must not stand still for ever because a record can't be read.
            self._tell_unreadable(name, str(error), event)
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

    def _give_timed(self, event: AnyEvent, states: Sequence[str], clock_ns: Clock) -> None:
        spent_ns, began_ns = self._outcome.spent_ns, clock_ns()
        for strategy, state_name in zip(self._strategies, states, strict=True):
            self._give(event, strategy, state_name)
            ended_ns = clock_ns()
            spent_ns[strategy.name] += ended_ns - began_ns
            began_ns = ended_ns

    def _give(self, event: AnyEvent, strategy: AnyStrategy, state_name: str) -> None:
        run = self._states.get(state_name) or self._state(event, strategy, state_name)
        try:
            said = run.apply(event)
        except BaseException as error:
            # A strategy may raise anything; it is told of in the dead letter.
            if self._is_fatal(error):
                raise
            self._tell(strategy, event)
            run.rebuild()
            return
        if said.signals:
            self._outcome.signals += said.signals
            self._outcome.counts[f"signals:{strategy.name}"] += len(said.signals)
            self._outcome.actions.update((strategy.name, action) for action in said.actions)
        if said.held:
            self._outcome.held += said.held
            self._outcome.counts.update(f"held:{reason}" for reason in said.reasons)

    def _tell(self, strategy: AnyStrategy, event: AnyEvent | None) -> None:
        """Write the dead letter of the exception that is being handled."""
        letter = deadletters.raised(traceback.format_exc(limit=-12), self._pool, strategy.name, event)
        self._outcome.letters.append(deadletters.pack(letter))
        self._outcome.counts[f"errors:{strategy.name}"] += 1

    def _tell_unreadable(self, name: str, why: str, event: AnyEvent, strategy: str = "") -> None:
        letter = deadletters.unreadable(name, why, self._held.get(name) or b"", self._pool, strategy, event)
        self._outcome.letters.append(deadletters.pack(letter))

    def _state(self, event: AnyEvent, strategy: AnyStrategy, name: str) -> StateRun:
        run = self._states[name] = StateRun(
            strategy.for_symbol(event.symbol), self._held.get(name), self._config_version, self._is_fatal
        )
        if run.unreadable:
            self._tell_unreadable(name, run.unreadable, event, strategy.name)
        return run
