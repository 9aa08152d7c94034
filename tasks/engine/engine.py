"""The engine: a pure function of (states, events, configuration). The same code runs live and in the backtest.

    outcome = BatchRun(pool, source, strategies, ..., what the ledger holds).finish(the batch's events)

Nothing here opens a socket, asks a clock or keeps anything from one call to the next but how things are called.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, Protocol

import msgspec

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import paper_run, strategy_run
from tasks.engine.paper_run import PaperAccounts, PaperRun
from tasks.engine.strategy_run import NO_OUTPUT, StrategyOutput, StrategyRun
from tasks.errors import UNREADABLE
from tasks.events import AnyEvent, Kind, Venue
from tasks.fatal_errors import IsFatal, is_fatal
from tasks.protocol import dead_letters, records, shadowed
from tasks.protocol.counters import Counts, held_label
from tasks.protocol.dead_letters import DeadLetter
from tasks.protocol.outcome import Outcome
from tasks.protocol.records import Verdict
from tasks.protocol.strikes import NOTHING, ExcludedEvents

#: Returns nanoseconds that never fall.
Clock = Callable[[], int]


class RunProgress(Protocol):
    """The position of the event that a run is working on, and the number of the strategy, from 1; 0: none."""

    def __setitem__(self, index: int, value: int, /) -> None:
        """Set one of the two."""


class RunOptions(NamedTuple):
    """Options of a run. The defaults are the backtest's."""

    #: With it, the outcome has the time spent by each strategy, and `progress` is updated.
    clock_ns: Clock | None = None
    #: Whether an exception out of a strategy's code ends the run, or is the strategy's error on the event.
    is_fatal: IsFatal = is_fatal
    #: Updated with the event and the strategy that the run is working on.
    progress: RunProgress | None = None
    #: Not given to strategies.
    excluded: ExcludedEvents = NOTHING


DEFAULT = RunOptions()


class _FieldNames(NamedTuple):
    """The ledger's field names of a stream: of its record, and of each strategy's state and paper account; and all."""

    record: str
    states: tuple[str, ...]
    #: Empty where a strategy has no account.
    accounts: tuple[str, ...]
    every: tuple[str, ...]


@lru_cache(maxsize=8_192)
def _names(venue: Venue, symbol: str, kind: Kind, strategies: tuple[BoundStrategy, ...]) -> _FieldNames:
    states = tuple(strategy_run.field(venue, symbol, each) for each in strategies)
    accounts = tuple(paper_run.field(venue, symbol, each) if each.paper else "" for each in strategies)
    record = records.named(venue, symbol, kind)
    return _FieldNames(record, states, accounts, (record, *states, *filter(None, accounts)))


def fields(events: Sequence[AnyEvent], strategies: Sequence[BoundStrategy]) -> tuple[str, ...]:
    """Return the names of the records, states and accounts that a `BatchRun` needs, each once."""
    several, streams = tuple(strategies), dict.fromkeys((event.venue, event.symbol, event.kind) for event in events)
    named = [_names(*stream, several).every for stream in streams]
    return named[0] if len(named) == 1 else tuple(dict.fromkeys(chain.from_iterable(named)))


class _Stream:
    """Events of one venue, symbol and kind in a batch: what each of them needs."""

    __slots__ = ("accounts", "gaps", "names", "record", "runs", "taken")

    def __init__(self, names: _FieldNames, record: records.Record) -> None:
        self.names, self.record = names, record
        #: Those that the record had before.
        self.gaps = record.gaps
        #: The events that the record took.
        self.taken: list[AnyEvent] = []
        #: By strategy; None before the first event that it is given.
        self.runs: list[StrategyRun | None] = [None] * len(names.states)
        #: None before the first event.
        self.accounts: list[PaperRun] | None = None


class BatchRun:
    """One run of the strategies over a batch."""

    def __init__(
        self,
        pool: str,
        source: str,
        strategies: Sequence[BoundStrategy],
        config_version: str,
        held: Mapping[str, bytes | None],
        options: RunOptions = DEFAULT,
    ) -> None:
        """Start from what the ledger holds: `held` has a value or None for each of `fields`."""
        self._pool, self._source, self._config_version = pool, source, config_version
        self._strategies, self._held = tuple(strategies), held
        self._streams: dict[tuple[Venue, str, Kind], _Stream] = {}
        #: By name of the field; streams of several kinds or symbols may share one.
        self._states: dict[str, StrategyRun] = {}
        self._accounts = PaperAccounts(self._strategies, config_version, held)
        self._clock_ns, self._is_fatal = options.clock_ns, options.is_fatal
        self._progress: RunProgress = [0, 0] if options.progress is None else options.progress
        self._excluded = options.excluded if options.excluded != NOTHING else None
        self._outcome = Outcome({}, [], [], [], Counts())
        #: Counted for every repeat, so apart.
        self._repeats = 0
        self._outcome.spent_ns = {strategy.name: 0 for strategy in strategies}

    def finish(self, events: Iterable[AnyEvent]) -> Outcome:
        """Run the strategies on every event; return the outcome. Raises NewerStateError and what is fatal."""
        for event in events:
            self._take(event)
        streams, outcome = self._streams.values(), self._outcome
        for stream in streams:
            stream.record.chain(stream.taken)
        outcome.counts.add("applied", by=sum(len(stream.taken) for stream in streams))
        outcome.counts.add("repeats", by=self._repeats)
        outcome.counts.add("gaps", by=sum(stream.record.gaps - stream.gaps for stream in streams))
        outcome.fields = {stream.names.record: records.pack(stream.record) for stream in streams}
        outcome.fields |= {name: self._saved(run) for name, run in self._states.items()}
        self._accounts.save(outcome)
        return outcome

    def _saved(self, run: StrategyRun) -> bytes:
        try:
            return run.pack()
        except BaseException as error:
            # A state of what can't be saved must not hold up the lane.
            if self._is_fatal(error):
                raise
            self._record_error(error, run.name, None)
            run.reset()
            return run.pack()

    def _take(self, event: AnyEvent) -> None:
        stream = self._streams.get((event.venue, event.symbol, event.kind)) or self._stream(event)
        record = stream.record
        verdict = record.classify(event, self._source)
        if verdict != "new" or record.unconfirmed is not None:
            self._settle(event, verdict, stream)
            return
        record.take(event, self._source)
        self._give(event, stream)

    def _settle(self, event: AnyEvent, verdict: Verdict, stream: _Stream) -> None:
        """Take an event that is not simply new."""
        self._repeats += verdict == "repeat"
        for each in stream.record.admit(event, self._source, verdict, self._refuse):
            self._give(each, stream)

    def _give(self, event: AnyEvent, stream: _Stream) -> None:
        stream.taken.append(event)
        if stream.record.configuration != self._config_version:
            self._note_configuration(stream.record, event)
        if stream.accounts is None:
            stream.accounts = self._accounts.of(event, stream.names.accounts, self._record_unreadable)
        if stream.accounts:
            self._accounts.advance(event, stream.accounts)
        if self._clock_ns is None:
            for number, strategy in enumerate(self._strategies):
                self._run_strategy(event, strategy, stream, number)
        else:
            self._run_timed(event, stream, self._clock_ns)

    def _refuse(self, record: records.Record, event: AnyEvent) -> None:
        """Write the dead letter of an event whose id nothing confirmed."""
        self._outcome.letters.append(dead_letters.pack(dead_letters.implausible_id(self._pool, event, record.id)))
        self._outcome.counts.add("implausible")

    def _stream(self, event: AnyEvent) -> _Stream:
        names = _names(event.venue, event.symbol, event.kind, self._strategies)
        stream = _Stream(names, self._record(names.record, event))
        self._streams[event.venue, event.symbol, event.kind] = stream
        return stream

    def _record(self, name: str, event: AnyEvent) -> records.Record:
        try:
            return records.unpack(self._held.get(name))
        except UNREADABLE as error:
            # A lane must not stand still because a record can't be read.
            self._record_unreadable(name, str(error), event)
            return records.unpack(None)

    def _note_configuration(self, record: records.Record, event: AnyEvent) -> None:
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

    def _run_timed(self, event: AnyEvent, stream: _Stream, clock_ns: Clock) -> None:
        spent_ns, began_ns, progress = self._outcome.spent_ns, clock_ns(), self._progress
        progress[0] = event.seq
        for number, strategy in enumerate(self._strategies):
            progress[1] = number + 1
            self._run_strategy(event, strategy, stream, number)
            ended_ns = clock_ns()
            spent_ns[strategy.name] += ended_ns - began_ns
            began_ns = ended_ns
        progress[1] = 0

    def _run_strategy(self, event: AnyEvent, strategy: BoundStrategy, stream: _Stream, number: int) -> None:
        if self._excluded and self._is_excluded(event, strategy, self._excluded):
            if strategy.name not in self._excluded.strategies and strategy.strategy.bars:
                (stream.runs[number] or self._state(event, strategy, stream, number)).rebuild(event)
            return
        run = stream.runs[number] or self._state(event, strategy, stream, number)
        try:
            said = run.apply(event)
        except BaseException as error:
            # A strategy may raise anything; it is told of in the dead letter.
            if self._is_fatal(error):
                raise
            self._record_error(error, strategy.name, event)
            run.rebuild(event)
            return
        if said is NO_OUTPUT:
            return
        if said.signals and strategy.paper:
            self._accounts.submit(strategy, said.signals, event)
        if said.signals or (said.held and strategy.emits):
            self._note_output(said, strategy, event.symbol)

    def _note_output(self, said: StrategyOutput, strategy: BoundStrategy, symbol: str) -> None:
        outcome = self._outcome
        if not strategy.emits:
            outcome.shadowed += [shadowed.pack(strategy.name, signal) for signal in said.signals]
            outcome.counts.add("shadowed", strategy.name, by=len(said.signals))
            return
        outcome.signals += said.signals
        outcome.emitters += [strategy.name] * len(said.signals)
        outcome.revisions += [strategy.revision(symbol)] * len(said.signals)
        outcome.counts.add("signals", strategy.signal_name, by=len(said.signals))
        outcome.actions.update((strategy.signal_name, action) for action in said.actions)
        outcome.held += said.held
        for reason in said.reasons:
            outcome.counts.add("held", reason)
            outcome.counts.add("strategy_held", held_label(strategy.signal_name, reason))

    def _is_excluded(self, event: AnyEvent, strategy: BoundStrategy, excluded: ExcludedEvents) -> bool:
        """Whether a strategy must not be given an event; where it is the strategy's error, a dead letter is written."""
        if (strategy.name, event.seq) in excluded.events:
            self._raised(dead_letters.ended_process(self._pool, strategy.name, event))
            return True
        return strategy.name in excluded.strategies

    def _record_error(self, error: BaseException, strategy: str, event: AnyEvent | None) -> None:
        """Write the dead letter of an exception."""
        self._raised(dead_letters.raised(error, self._pool, strategy, event))
        # One that a strategy makes once and raises for every event would collect the traces, and all that they hold.
        BaseException.with_traceback(error, None)

    def _raised(self, letter: DeadLetter) -> None:
        self._outcome.letters.append(dead_letters.pack(letter))
        self._outcome.counts.add("errors", letter.strategy)

    def _record_unreadable(self, name: str, why: str, event: AnyEvent, strategy: str = "") -> None:
        letter = dead_letters.unreadable(name, why, self._held.get(name) or b"", self._pool, strategy, event)
        self._outcome.letters.append(dead_letters.pack(letter))

    def _state(self, event: AnyEvent, strategy: BoundStrategy, stream: _Stream, number: int) -> StrategyRun:
        name = stream.names.states[number]
        run = self._states.get(name)
        if run is None:
            run = self._states[name] = self._restored(event, strategy, name)
        stream.runs[number] = run
        return run

    def _restored(self, event: AnyEvent, strategy: BoundStrategy, name: str) -> StrategyRun:
        own, packed = strategy.for_symbol(event.symbol), self._held.get(name)
        run = StrategyRun(own, strategy.gate, packed, self._config_version, self._is_fatal, strategy.name)
        if run.unreadable:
            self._record_unreadable(name, run.unreadable, event, strategy.name)
        return run
