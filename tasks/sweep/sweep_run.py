"""Runs blocks to their end, slice by slice, on an executor: workers, or processes of this machine.

The state of each block comes back with each slice and is kept here. So whatever ends, a worker, Redis, or this process,
costs a slice: it is sent again with the same state.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from tasks.sweep.block import Block
from tasks.sweep.figures import UnitResult
from tasks.sweep.slice_run import BlockState
from tasks.sweep.store import ResultStore

#: How long a slice takes at most; a kill costs half of it, and the state travels after each.
BUDGET_S = 0.5
#: A slice that was lost is shorter the next time by this factor, so that a block moves on under kills; the first events
#: always count. After as many that came back, which is as much time as that one had, slices are longer again by it.
SHORTER = 4
#: So often in a row a slice of a block may be lost, before its units are tried each by itself.
MAX_LOST_TOGETHER = 2
#: The same of such a unit, before it has failed.
MAX_LOST = 5
#: How long the executor is waited for, before progress is shown again.
WAIT_S = 0.2


class SliceJob(NamedTuple):
    """A slice to run."""

    block: Block
    state: BlockState
    budget_s: float
    #: Of this slice, in a row.
    tries: int


class SliceAnswer(NamedTuple):
    """The answer to a slice."""

    #: Key of the block.
    block: str
    #: After it; None: it was lost, with the process that ran it.
    state: BlockState | None
    #: Why it was lost, as far as that is known.
    why: str = ""


class Executor(Protocol):
    """Where slices run."""

    @property
    def processes(self) -> int:
        """How many slices run at a time."""

    def room(self) -> int:
        """Return how many more slices can be sent."""

    def submit(self, jobs: Sequence[SliceJob]) -> None:
        """Send slices."""

    def answers(self, wait_s: float) -> list[SliceAnswer]:
        """Return the answers to slices since the last call; waits for the first for so long."""


class SweepObserver(Protocol):
    """Whom a run tells how far it is."""

    def progress(self, work: int) -> None:
        """Called with further events, each counted once for each unit that it was given to."""

    def finished(self, results: Mapping[str, UnitResult]) -> None:
        """Called with results of units, by id."""


class _BlockProgress:
    """A block that is not finished."""

    def __init__(self, block: Block, state: BlockState) -> None:
        self.block, self.state = block, state
        #: How many slices were lost since the last one that was not.
        self.lost = 0
        #: How often slices were made shorter, and how many have come back since that was changed. Were they as long as
        #: before after the first that comes back, a set that gets stuck would end a process for nearly each event.
        self._shorter = self._came_back = 0

    def job(self) -> SliceJob:
        return SliceJob(self.block, self.state, BUDGET_S / SHORTER**self._shorter, self.lost)

    def take(self, state: BlockState) -> None:
        """Take the state after a slice."""
        self.state, self.lost = state, 0
        self._came_back += 1
        if self._came_back == SHORTER:
            self._shorter, self._came_back = max(0, self._shorter - 1), 0

    def lose(self) -> None:
        """Take that a slice was lost."""
        self.lost += 1
        self._shorter, self._came_back = min(self._shorter + 1, MAX_LOST - 1), 0


class SweepRun:
    """A run of blocks."""

    def __init__(self, store: ResultStore, executor: Executor, observer: SweepObserver) -> None:
        self._store, self._executor, self._observer = store, executor, observer
        self._waiting: deque[_BlockProgress] = deque()
        self._running: dict[str, _BlockProgress] = {}

    def run(self, blocks: Iterable[Block], *, resume: bool) -> None:
        """Run every block; with `resume`, go on where an earlier run was. Raises SettingsError, DatasetError."""
        for block in blocks:
            state = self._store.state(block) if resume else None
            if state is not None:
                self._observer.progress(state.events * len(block.units))
            self._waiting.append(_BlockProgress(block, state or BlockState()))
        while self._waiting or self._running:
            self._submit()
            for answer in self._executor.answers(WAIT_S):
                running = self._running.pop(answer.block, None)
                if running is not None:
                    self._take(running, answer)

    def _submit(self) -> None:
        chosen = [self._waiting.popleft() for _ in range(min(self._executor.room(), len(self._waiting)))]
        self._running |= {each.block.key: each for each in chosen}
        if chosen:
            self._executor.submit([each.job() for each in chosen])

    def _take(self, progress: _BlockProgress, answer: SliceAnswer) -> None:
        block = progress.block
        if answer.state is None:
            self._lose(progress, answer.why)
            return
        self._observer.progress((answer.state.events - progress.state.events) * len(block.units))
        progress.take(answer.state)
        if answer.state.is_finished(block):
            self._finish(block, answer.state.results)
        else:
            self._store.put_state(block, answer.state)
            # First in, first out would begin every block before it ends one.
            self._waiting.appendleft(progress)

    def _lose(self, progress: _BlockProgress, why: str) -> None:
        progress.lose()
        block = progress.block
        if progress.lost < (MAX_LOST_TOGETHER if len(block.units) > 1 else MAX_LOST):
            self._waiting.appendleft(progress)
        elif len(block.units) > 1:
            alone = [_BlockProgress(block.with_units((unit,)), progress.state.of(unit)) for unit in block.units]
            self._waiting.extendleft(reversed(alone))
        else:
            error = f"its process ended {MAX_LOST} times while it ran{f': {why}' if why else ''}"
            # It is not kept: whether that was the set's fault is not sure.
            self._observer.finished({block.units[0].id: UnitResult(error=error)})

    def _finish(self, block: Block, results: Mapping[str, UnitResult]) -> None:
        self._store.finish(block, results)
        self._observer.finished(results)
