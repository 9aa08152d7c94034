"""Every unit comes to its result, whichever slices are lost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sweep.block import Block, EventSource, Part, Unit
from tasks.sweep.figures import Figures, UnitResult
from tasks.sweep.slice_run import BlockState
from tasks.sweep.store import ResultStore
from tasks.sweep.sweep_run import BUDGET_S, MAX_LOST, MAX_LOST_TOGETHER, SliceAnswer, SliceJob, SweepRun
from tasks.sweep.work_plan import WorkPlan
from tests.support.files import sweeps

EVENTS = 10


class Machine:
    """An executor whose slices take one event each, and are lost as told."""

    processes = 2

    def __init__(self, lost: Sequence[bool] = (), deadly: str = "") -> None:
        self.lost, self.deadly = list(lost), deadly
        self.sent: list[SliceJob] = []
        self.budgets: list[float] = []
        self.taken_events = 0

    def room(self) -> int:
        return 3 - len(self.sent)

    def submit(self, jobs: Sequence[SliceJob]) -> None:
        self.sent += jobs
        self.budgets += [job.budget_s for job in jobs]

    def answers(self, wait_s: float) -> list[SliceAnswer]:  # noqa: ARG002 it never waits
        job = self.sent.pop(0)
        is_deadly = any(unit.id == self.deadly for unit in job.block.units)
        if is_deadly or (self.lost and self.lost.pop(0)):
            return [SliceAnswer(job.block.key, None, "signal 9")]
        self.taken_events += 1
        state = msgspec.structs.replace(job.state, events=job.state.events + 1)
        if state.events >= EVENTS:
            results = {unit.id: UnitResult([Figures(signals=int(unit.id))]) for unit in job.block.units}
            state = msgspec.structs.replace(state, segment=1, results=results)
        return [SliceAnswer(job.block.key, state)]


class Observer:
    def __init__(self) -> None:
        self.work, self.results = 0, dict[str, UnitResult]()

    def progress(self, work: int) -> None:
        self.work += work

    def finished(self, results: Mapping[str, UnitResult]) -> None:
        self.results |= results


def blocks(count: int = 3, units: int = 4) -> list[Block]:
    part = Part("monday", (EventSource("d", "spot", "BTCUSDT"),))
    numbers = iter(range(1, 1_000))
    of = [tuple(Unit(str(next(numbers)), {}) for _ in range(units)) for _ in range(count)]
    return [Block("depth", "skew", b"{}", "code", part, each) for each in of]


def run(machine: Machine, directory: Path, among: Sequence[Block], *, resume: bool = False) -> Observer:
    observer, store = Observer(), ResultStore(directory)
    SweepRun(store, machine, observer).run(among, resume=resume)
    store.close()
    return observer


@settings(deadline=None)
@given(lost=st.sets(st.integers(0, 60), max_size=MAX_LOST_TOGETHER + MAX_LOST - 1))
def test_results_are_the_same_whichever_slices_are_lost(lost: set[int], tmp_path_factory: pytest.TempPathFactory):
    """Any of them, by number, but not so many that one unit may have lost all of its tries."""
    among = blocks()
    results = run(Machine([number in lost for number in range(61)]), tmp_path_factory.mktemp("store"), among).results
    assert {id_: result.segments[0].signals for id_, result in results.items()} == {
        unit.id: int(unit.id) for block in among for unit in block.units
    }


def test_a_slice_that_was_lost_is_shorter_the_next_time(tmp_path: Path):
    machine = Machine([True, True, False])
    run(machine, tmp_path, blocks(1, units=1))
    shorter, shortest = BUDGET_S / 4, BUDGET_S / 16
    # It is as long again once as much time as was lost is behind it.
    assert machine.budgets == [BUDGET_S, shorter, *[shortest] * 4, *[shorter] * 4, *[BUDGET_S] * 2]


class StuckMachine(Machine):
    """Its slices take the events that fit, at least one, and are lost at the last event of the block."""

    def __init__(self, event_s: float) -> None:
        super().__init__()
        self._event_s = event_s
        self.ended = 0

    def answers(self, wait_s: float) -> list[SliceAnswer]:  # noqa: ARG002 it never waits
        job = self.sent.pop(0)
        events = job.state.events + max(1, int(job.budget_s / self._event_s))
        if events >= EVENTS:
            self.ended += 1
            return [SliceAnswer(job.block.key, None, "signal 9")]
        return [SliceAnswer(job.block.key, msgspec.structs.replace(job.state, events=events))]


@pytest.mark.parametrize("event_s", [1.0, 0.3, 0.1, 0.03, 0.01, 0.001])
def test_a_unit_that_gets_stuck_ends_few_processes_at_any_speed(tmp_path: Path, event_s: float):
    """However slow the machine is: a slice that is too short to get there is no sign that all is well."""
    machine = StuckMachine(event_s)
    results = run(machine, tmp_path, blocks(1, units=1)).results
    assert results["1"].error
    assert machine.ended <= 2 * MAX_LOST


def test_a_unit_that_ends_its_process_fails_alone(tmp_path: Path):
    results = run(Machine(deadly="2"), tmp_path, blocks()).results
    assert results["2"].error == f"its process ended {MAX_LOST} times while it ran: signal 9"
    kept = ResultStore(tmp_path).results(list(results))
    assert set(kept) == set(results) - {"2"}, "whether it was the set's fault is not sure: --resume tries it again"
    assert [id_ for id_, each in results.items() if each.error] == ["2"]
    assert len(results) == 12


def test_a_resumed_run_goes_on_where_the_last_one_was(tmp_path: Path):
    class EndedError(Exception):
        pass

    class Ends(Machine):
        def answers(self, wait_s: float) -> list[SliceAnswer]:
            if self.taken_events == 15:
                raise EndedError
            return super().answers(wait_s)

    among, first, second = blocks(), Ends(), Machine()
    with pytest.raises(EndedError):
        run(first, tmp_path, among)
    store = ResultStore(tmp_path)
    done = store.results([unit.id for block in among for unit in block.units])
    store.close()
    left = [block for block in among if not all(unit.id in done for unit in block.units)]
    observer = run(second, tmp_path, left, resume=True)
    assert first.taken_events + second.taken_events == EVENTS * len(among)
    assert len(done | observer.results) == 12


def test_progress_counts_each_event_once_for_each_unit(tmp_path: Path):
    assert run(Machine(), tmp_path, blocks()).work == EVENTS * 12


def test_a_block_that_is_finished_is_forgotten_and_its_results_kept(tmp_path: Path):
    (block,) = blocks(1)
    run(Machine(), tmp_path, [block])
    store = ResultStore(tmp_path)
    assert store.state(block) is None
    assert set(store.results(["1", "2", "3", "4", "other"])) == {"1", "2", "3", "4"}
    store.close()


def test_blocks_that_were_begun_go_on_whatever_the_number_of_processes(tmp_path: Path):
    """How units are cut into blocks depends on how many processes there are, and on what is done."""
    plan = WorkPlan(sweeps.configuration(), [sweeps.dataset(tmp_path, sweeps.prices())], sweeps.moods(*ascii_uppercase))
    first, *_ = plan.blocks({}, processes=1)
    assert len(first.units) == 7
    store = ResultStore(tmp_path)
    store.put_state(first, BlockState(events=3))
    again = plan.blocks({}, 100, store.begun())
    assert again[0] == first
    assert store.state(again[0]) == BlockState(events=3)
    assert sorted(unit.id for block in again for unit in block.units) == sorted(each.unit.id for each in plan.units())
    done = {first.units[0].id: None}
    assert first not in plan.blocks(done, 1, store.begun()), "one of its units is done"
    store.close()
