"""One slice of a block: from the state after the last slice to the state after this one.

    state = slice_run.run(block, state, directory, SliceLimits(budget_s=0.5))

It keeps nothing, so a slice that is lost is run again, anywhere, from the state before it. A strategy that raises or
hangs takes its unit out of the block; the others go on.
"""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks import fatal_errors
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import BatchRun, RunOptions
from tasks.errors import DatasetError
from tasks.events import AnyEvent
from tasks.paper import read_accounts
from tasks.paper.closed_position import unpack as unpack_position
from tasks.protocol.outcome import Outcome
from tasks.sweep import figures, variants
from tasks.sweep.block import Block, Unit
from tasks.sweep.datasets.reader import StreamPosition
from tasks.sweep.datasets.sources import open_stream
from tasks.sweep.figures import MINUTE_MS, UnitResult
from tasks.sweep.hang_limit import HangError, no_hang

#: Events from one look at the time to commit to the next; states are packed once for each.
BATCH_EVENTS = 2_000


class SegmentSums(msgspec.Struct, array_like=True):
    """What a unit did in the segment so far, beside its account."""

    signals: int = 0
    by_minute: dict[int, float] = {}


class BlockState(msgspec.Struct, array_like=True):
    """Where a block stands."""

    #: Number of the segment, from 0.
    segment: int = 0
    #: Of the reader within the segment; None: at its start.
    position: StreamPosition | None = None
    #: Records, strategies' states and paper accounts, as the ledger would hold them.
    fields: dict[str, bytes] = {}
    #: By unit id, of units that are not finished.
    sums: dict[str, SegmentSums] = {}
    #: Event times of the segment's first and last event so far; 0: none.
    first_ms: int = 0
    last_ms: int = 0
    #: Events of all segments so far.
    events: int = 0
    #: By unit id.
    results: dict[str, UnitResult] = {}

    def of(self, unit: Unit) -> "BlockState":
        """Return the state of a block that has only this unit."""
        fields = {name: packed for name, packed in self.fields.items() if _owner(name) in {"", unit.id}}
        return msgspec.structs.replace(
            self,
            fields=fields,
            sums={id_: each for id_, each in self.sums.items() if id_ == unit.id},
            results={id_: each for id_, each in self.results.items() if id_ == unit.id},
        )

    def is_finished(self, block: Block) -> bool:
        """Whether nothing of the block is left to do."""
        segments = len(block.part.cuts) - 1
        return self.segment >= segments or all(_has_failed(self, unit) for unit in block.units)


def _owner(field: str) -> str:
    """Return the id of the unit whose field this is; empty: a record, which all share."""
    return "" if field.startswith("record:") else field.rpartition(":")[2]


def _has_failed(state: BlockState, unit: Unit) -> bool:
    result = state.results.get(unit.id)
    return bool(result and result.error)


class SliceLimits(NamedTuple):
    """When a slice ends."""

    #: It is ended after this time, or with the block.
    budget_s: float
    #: A strategy that computes for longer than this is ended: seconds of CPU time for all events of a batch. One that
    #: waits, after twice as many seconds.
    hang_s: float = 20.0
    #: Called before and after each run of strategies over a batch: whoever ends what is stuck restarts its clock.
    alive: Callable[[], object] = lambda: None
    #: Called between events, now and then; True ends the slice early.
    is_unwanted: Callable[[], bool] = lambda: False
    #: How often it is called.
    look_s: float = 0.005


class _FeedClock:
    """Lets events through until the slice is to end."""

    def __init__(self, limits: SliceLimits) -> None:
        self._limits = limits
        self._end_s = time.monotonic() + limits.budget_s
        self._look_s = 0.0
        self.is_over = False
        #: What reading raised: it is not the strategies' fault, through whose run it would come.
        self.error: DatasetError | None = None

    def feed(self, events: Iterable[AnyEvent], taken: list[AnyEvent]) -> Iterator[AnyEvent]:
        """Yield events, and put them into `taken`, until a batch is full or the slice is to end."""
        try:
            for event in events:
                taken.append(event)
                yield event
                if self._must_end() or len(taken) >= BATCH_EVENTS:
                    return
        except DatasetError as error:
            self.error = error

    def _must_end(self) -> bool:
        now_s = time.monotonic()
        if now_s >= self._end_s:
            self.is_over = True
        elif now_s >= self._look_s:
            self._look_s = now_s + self._limits.look_s
            self.is_over = self._limits.is_unwanted()
        return self.is_over


def run(block: Block, state: BlockState, directory: Path, limits: SliceLimits) -> BlockState:
    """Return the state after a slice, which takes at least one event. Raises DatasetError and what is fatal."""
    return _SliceRun(block, state, directory, limits).run()


class _SliceRun:
    """One slice."""

    def __init__(self, block: Block, state: BlockState, directory: Path, limits: SliceLimits) -> None:
        self._block, self._directory, self._limits = block, directory, limits
        self._state = msgspec.structs.replace(
            state, fields=dict(state.fields), sums=dict(state.sums), results=dict(state.results)
        )
        running = block.with_units(tuple(unit for unit in block.units if not _has_failed(state, unit)))
        self._strategies = variants.bind(running)

    def run(self) -> BlockState:
        clock = _FeedClock(self._limits)
        while not self._state.is_finished(self._block) and not clock.is_over:
            self._segment(clock)
        return self._state

    def _segment(self, clock: _FeedClock) -> None:
        """Go on in the segment, to its end or that of the slice."""
        cuts, number = self._block.part.cuts, self._state.segment
        with open_stream(
            self._directory,
            self._block.part.sources,
            variants.kinds(self._block.configuration),
            cuts[number],
            cuts[number + 1],
            self._state.position,
        ) as stream:
            while self._strategies:
                taken: list[AnyEvent] = []
                self._batch(clock.feed(stream, taken), taken)
                if clock.error:
                    raise clock.error
                if not taken:
                    self._end_segment()
                    return
                self._state.position = stream.position
                if clock.is_over:
                    return

    def _batch(self, events: Iterator[AnyEvent], taken: list[AnyEvent]) -> None:
        """Run the strategies over the events, which are in `taken` afterwards."""
        try:
            outcome = self._outcome(list(self._strategies.values()), events)
        except BaseException as error:
            if _ends_slice(error):
                raise
            outcome = None
        if outcome is None:
            # After the exception, which tracebacks would name as their context. What was not taken comes with the next.
            outcome = self._outcome_of_each(taken)
        if taken:
            self._commit(outcome, taken)

    def _outcome(self, strategies: list[BoundStrategy], events: Iterable[AnyEvent]) -> Outcome:
        batch = BatchRun(
            self._block.pool, f"segment {self._state.segment}", strategies, "", self._state.fields, _EVERYTHING_FATAL
        )
        self._limits.alive()
        try:
            with no_hang(self._limits.hang_s):
                return batch.finish(events)
        finally:
            self._limits.alive()

    def _outcome_of_each(self, taken: list[AnyEvent]) -> Outcome:
        """Return the outcome of the strategies that run, each by itself; the others are finished."""
        together: Outcome | None = None
        for id_, bound in list(self._strategies.items()):
            try:
                outcome = self._outcome([bound], taken)
            except BaseException as error:
                if _ends_slice(error):
                    raise
                self._fail(id_, error)
                continue
            together = outcome if together is None else _both(together, outcome)
        return together or self._outcome([], taken)

    def _fail(self, id_: str, error: BaseException) -> None:
        if isinstance(error, HangError):
            text = f"did not come to an end within {self._limits.hang_s:g} s, in\n{_where(error)}"
        else:
            text = "".join(traceback.format_exception(error, limit=-8))
        self._state.results[id_] = UnitResult(error=text)
        self._state.sums.pop(id_, None)
        del self._strategies[id_]
        self._state.fields = {name: packed for name, packed in self._state.fields.items() if _owner(name) != id_}

    def _commit(self, outcome: Outcome, taken: list[AnyEvent]) -> None:
        state = self._state
        state.fields |= outcome.fields
        state.events += len(taken)
        times = [event.time_ms for event in taken]
        state.first_ms = min(state.first_ms or times[0], *times)
        state.last_ms = max(state.last_ms, *times)
        for id_ in self._strategies:
            state.sums.setdefault(id_, SegmentSums())
        for emitter in outcome.emitters:
            state.sums[emitter].signals += 1
        for packed in outcome.positions:
            closed = unpack_position(packed)
            by_minute, minute = state.sums[closed.strategy].by_minute, closed.closed_ms // MINUTE_MS
            by_minute[minute] = by_minute.get(minute, 0.0) + closed.pnl

    def _end_segment(self) -> None:
        """Take the figures, and begin the next segment with new accounts."""
        state, pool = self._state, self._block.pool
        accounts = read_accounts(
            (pool, name, packed) for name, packed in state.fields.items() if name.startswith("paper:")
        )
        for id_ in self._strategies:
            sums = state.sums.get(id_) or SegmentSums()
            mine = [each for each in accounts if each.strategy == id_]
            found = figures.of_accounts(mine, sums.signals, sums.by_minute, state.first_ms, state.last_ms)
            state.results.setdefault(id_, UnitResult()).segments.append(found)
        state.fields = {name: packed for name, packed in state.fields.items() if not name.startswith("paper:")}
        state.sums, state.position, state.first_ms, state.last_ms = {}, None, 0, 0
        state.segment += 1


#: A parameter set whose strategy raises has failed: unlike live, nothing is rebuilt.
_EVERYTHING_FATAL = RunOptions(is_fatal=lambda _: True)


def _ends_slice(error: BaseException) -> bool:
    """Whether an exception out of a run is none of a strategy's."""
    return not isinstance(error, HangError) and fatal_errors.is_fatal(error)


def _both(one: Outcome, other: Outcome) -> Outcome:
    one.fields |= other.fields
    one.positions += other.positions
    one.emitters += other.emitters
    return one


def _where(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__)[-4:])
