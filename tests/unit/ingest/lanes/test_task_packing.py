"""How lanes share tasks: laws over any lanes, and the few cases that a person would ask for."""

from collections.abc import Mapping, Sequence
from itertools import chain, count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.lanes.lane import Lane, LaneEvent
from ingest.lanes.task_packing import AHEAD_TASKS, FULL_EVENTS, Workforce, in_flight_tasks, plan_tasks, split_lanes
from tasks.events import Position
from tasks.protocol.batches import MAX_BATCH_BYTES, MAX_BATCH_EVENTS
from tasks.protocol.routing import LaneId

SOURCE = "core-1.aa"
NOW_S = 100.0
Tasks = Sequence[Sequence[Lane]]


def lane(number: int, events: int = 1, *, age: int | None = None, size: int = 100, pool: str = "A") -> Lane:
    """Make a lane of so many events of so many bytes; the lower its age, the longer it has waited."""
    made, first = Lane(LaneId(pool, number)), 1 + 1_000 * (number if age is None else age)
    items = [LaneEvent(seq, msgspec.Raw(), size, "trade", ("spot", "X"), 0, 0) for seq in range(first, first + events)]
    made.begin(SOURCE, None, items)
    return made


def lanes(*events: int) -> list[Lane]:
    """Make lanes of so many events each, the first of them the oldest."""
    return [lane(number, each) for number, each in enumerate(events)]


def sent(several: Sequence[Lane], task: int) -> None:
    for each in several:
        each.launch()
        each.sent(NOW_S, task)


def numbers(tasks: Tasks) -> list[list[int]]:
    return [[each.id.partition for each in task] for task in tasks]


def by_age(ready: Sequence[Lane]) -> list[int]:
    return [each.id.partition for each in sorted(ready, key=lambda each: next(iter(each.waiting)))]


def each_fits(tasks: Tasks) -> bool:
    """Whether each carries what a batch may hold, or one lane, whose batch has its own bounds."""
    return all(
        len(task) == 1
        or (
            sum(len(each.waiting) for each in task) <= FULL_EVENTS
            and sum(each.held_bytes for each in task) <= MAX_BATCH_BYTES
        )
        for task in tasks
    )


#: Events of a lane: few, about what is worth to be at hand, or about what a batch holds; and bytes of an event.
_events = st.integers(1, 5) | st.sampled_from((FULL_EVENTS - 1, FULL_EVENTS, 250, MAX_BATCH_EVENTS + 1))
_sizes = st.sampled_from((100, 100, 10_000, MAX_BATCH_BYTES // 2, 2 * MAX_BATCH_BYTES))


@st.composite
def ready_lanes(draw: st.DrawFn, max_size: int = 8) -> list[Lane]:
    """Draw lanes of some pools that have something to send, in any order of age."""
    drawn = draw(st.lists(st.tuples(_events, _sizes, st.sampled_from("ABC")), max_size=max_size))
    ages = iter(draw(st.permutations(range(len(drawn)))))
    return [
        lane(number, events, age=next(ages), size=size, pool=pool) for number, (events, size, pool) in enumerate(drawn)
    ]


# Lanes split into tasks


@given(ready_lanes(), st.integers(-2, 10))
def test_the_oldest_lanes_go_first_each_once_in_at_most_the_given_tasks(ready: list[Lane], tasks: int):
    shared = split_lanes(ready, tasks)
    gone = list(chain.from_iterable(numbers(shared)))
    assert gone == by_age(ready)[: len(gone)]
    assert len(shared) <= max(tasks, 0)
    assert all(shared)
    assert each_fits(shared)


@given(ready_lanes(), st.integers(1, 10))
def test_a_lane_stays_behind_only_where_all_tasks_are_taken(ready: list[Lane], tasks: int):
    shared = split_lanes(ready, tasks)
    assert sum(map(len, shared)) == len(ready) or len(shared) == tasks


@given(ready_lanes(), st.integers(0, 5))
def test_where_there_are_tasks_enough_each_lane_has_its_own(ready: list[Lane], more: int):
    assert numbers(split_lanes(ready, len(ready) + more)) == [[number] for number in by_age(ready)]


@given(st.integers(1, 40), st.integers(1, 15))
def test_lanes_of_few_events_all_go_and_are_spread_evenly_over_all_tasks(count: int, tasks: int):
    shared = [len(task) for task in split_lanes(lanes(*[1] * count), tasks)]
    assert sum(shared) == count
    assert len(shared) == min(count, tasks)
    assert max(shared) - min(shared) <= 1


def test_a_lane_that_does_not_fit_goes_with_the_next_task_or_waits():
    assert numbers(split_lanes(lanes(60, 40, 1, 1), 2)) == [[0, 1], [2, 3]]
    assert numbers(split_lanes(lanes(60, 41, 1, 1), 2)) == [[0], [1, 2, 3]]
    assert numbers(split_lanes(lanes(FULL_EVENTS, 1), 1)) == [[0]]


# Pools, and the processes that work for them


#: Workers by what they serve: (pools, processes); tasks in flight by pool.
Workers = Sequence[tuple[set[str], int]]
Counts = Mapping[str, int]
_workers: st.SearchStrategy[Workers] = st.lists(
    st.tuples(st.sets(st.sampled_from("ABC"), min_size=1), st.integers(1, 4)), max_size=4
)
_counts = st.dictionaries(st.sampled_from("ABC"), st.integers(0, 6))


def in_flight(counts: Counts) -> list[Lane]:
    """Make lanes with a batch in flight, each in a task of its own."""
    busy = [lane(100 + number, pool=pool) for pool, tasks in counts.items() for number in range(tasks)]
    for task, each in enumerate(busy, start=1):
        sent([each], task)
    return busy


def tasks_for(
    ready: Sequence[Lane], counts: Counts, workers: Workers | None, *, is_contended: bool = False
) -> list[list[Lane]]:
    every = [*ready, *in_flight(counts)]
    by_pool = {pool: [each for each in every if each.id.pool == pool] for pool in "ABC"}
    return plan_tasks(by_pool, ready, None if workers is None else Workforce(workers), NOW_S, lambda _: is_contended)


def test_a_workforce_counts_the_processes_that_serve_all_of_some_pools():
    workforce = Workforce([({"A", "B"}, 2), ({"A"}, 3), ({"C"}, 1)])
    assert [workforce.processes(*pools) for pools in ("A", "B", "AB", "AC", "D")] == [5, 2, 2, 0, 0]


def test_a_workforce_names_the_queues_of_those_that_serve_all_of_a_group():
    served = [({"A", "B", "worker.y"}, 1), ({"A", "B", "worker.x"}, 1), ({"A", "worker.z"}, 1)]
    without = [({"A", "B"}, 2), ({"A", "B", "worker.dead"}, 0), ({"A", "B", "worker.x"}, 4)]
    workforce = Workforce([*served, *without])
    assert [workforce.own_queues(tuple(group)) for group in ("AB", "A", "C")] == [
        ["worker.x", "worker.y"],
        ["worker.x", "worker.y", "worker.z"],
        [],
    ]


def test_pools_that_the_same_workers_serve_are_a_group():
    workforce = Workforce([({"A", "B", "C"}, 2), ({"A", "B"}, 3), ({"D"}, 0)])
    assert [workforce.group(pool) for pool in "ABCD"] == [("A", "B"), ("A", "B"), ("C",), None]


def test_a_group_is_the_same_whatever_the_queues_of_its_workers_are_called():
    alone, two = (
        Workforce([({"A", "x", "worker.b"}, 1)]),
        Workforce([({"A", "x", f"worker.{name}"}, 1) for name in "bc"]),
    )
    assert alone.group("x") == two.group("x") == ("A", "x")
    assert (alone.own_queues(("A", "x")), two.own_queues(("A", "x"))) == (["worker.b"], ["worker.b", "worker.c"])


@given(ready_lanes(), _counts, st.none() | _workers)
def test_lanes_of_a_pool_without_known_workers_go_alone(ready, counts, workers: Workers | None):
    served = set[str]().union(*(pools for pools, _ in workers or ()))
    tasks = tasks_for(ready, counts, workers)
    assert all([each] in tasks for each in ready if each.id.pool not in served)


@given(ready_lanes(), _counts, _workers)
def test_a_lane_goes_once_with_fitting_lanes_of_the_same_workers_pools(ready, counts, workers):
    tasks = tasks_for(ready, counts, workers)
    gone = list(chain.from_iterable(numbers(tasks)))
    assert len(gone) == len(set(gone))
    for task in tasks:
        pools = {each.id.pool for each in task}
        assert all(pools <= served or not pools & served for served, _ in workers)
    assert each_fits(tasks)


@given(ready_lanes(), _counts, st.integers(1, 4))
def test_processes_get_a_task_each_and_one_ahead_of_full_lanes_only(ready, counts, processes: int):
    tasks = tasks_for(ready, counts, [({"A", "B", "C"}, processes)])
    small = [task for task in tasks if any(len(lane.waiting) < FULL_EVENTS for lane in task)]
    busy = sum(counts.values())
    assert len(small) <= max(0, processes - busy)
    assert len(tasks) <= max(0, AHEAD_TASKS * processes - busy)
    assert len(tasks) >= min(len(ready), processes - busy)


@given(ready_lanes(), st.integers(0, 6), st.integers(1, 4))
def test_an_idle_process_gets_the_lane_that_has_waited_longest(ready, busy: int, processes: int):
    tasks = tasks_for(ready, {"A": busy}, [({"A", "B", "C"}, processes)])
    if ready and busy < processes:
        assert by_age(ready)[0] in chain.from_iterable(numbers(tasks))


def test_few_events_wait_for_a_process_and_many_go_ahead():
    workers: Workers = [({"A"}, 2)]
    assert tasks_for(lanes(1, FULL_EVENTS - 1), {"A": 2}, workers) == []
    assert numbers(tasks_for(lanes(1, FULL_EVENTS), {"A": 2}, workers)) == [[1]]
    assert tasks_for(lanes(1, FULL_EVENTS), {"A": 2 * AHEAD_TASKS}, workers) == []


def test_in_contention_a_small_task_goes_alone_and_a_full_one_at_once():
    workers: Workers = [({"A"}, 4)]
    assert numbers(tasks_for(lanes(1, 2, 3), {}, workers, is_contended=True)) == [[0, 1, 2]]
    assert tasks_for(lanes(1, 2, 3), {"A": 1}, workers, is_contended=True) == []
    assert numbers(tasks_for(lanes(60, 40), {"A": 1}, workers, is_contended=True)) == [[0], [1]]


def test_pools_of_one_group_share_a_task_and_pools_of_two_have_one_each():
    ready = [lane(0, pool="A"), lane(1, pool="B"), lane(2, pool="A")]
    assert numbers(tasks_for(ready, {}, [({"A", "B"}, 1)])) == [[0, 1, 2]]
    assert numbers(tasks_for(ready, {}, [({"A", "B"}, 1), ({"A"}, 1)])) == [[0, 2], [1]]


@pytest.mark.parametrize("workers", [[("A", 3), ("AB", 1)], [("A", 1), ("AB", 1)], [("AB", 2)], [("A", 1), ("B", 1)]])
def test_a_pool_gets_its_turn_however_much_another_one_has_to_do(workers: Sequence[tuple[str, int]]):
    counts: dict[str, int] = {}
    # B has waited since the beginning; of A, what came in later takes the place of what went out.
    for age in count(1):
        ready = [lane(number, age=age) for number in range(9)] + [lane(50, age=0, pool="B")] * (age > 1)
        tasks = tasks_for(ready, counts, [(set(pools), each) for pools, each in workers])
        if any(each.id.pool == "B" for task in tasks for each in task):
            break
        assert age < 10, "it waits endlessly"
        counts["A"] = counts.get("A", 0) + len(tasks) - 1


# What is in flight


@given(st.lists(st.integers(1, 4), max_size=8))
def test_a_task_counts_once_however_many_lanes_share_it(tasks: list[int]):
    several = lanes(*[1] * len(tasks))
    for each, task in zip(several, tasks, strict=True):
        sent([each], task)
    assert in_flight_tasks([*several, lane(99)], NOW_S) == len(set(tasks))


def test_a_task_is_in_flight_until_the_last_of_its_batches_is_committed():
    several = lanes(1, 1, 1)
    sent(several[:2], 1)
    sent(several[2:], 2)
    left = [in_flight_tasks(several, NOW_S)]
    for each in several:
        each.settle(Position(SOURCE, each.flight[-1].seq), NOW_S)
        left.append(in_flight_tasks(several, NOW_S))
    assert left == [2, 2, 1, 0]


@pytest.mark.parametrize(("later_s", "known"), [(0.0, 1), (3_600.0, 0)])
def test_what_is_overdue_is_not_in_flight_any_more(later_s: float, known: int):
    several = lanes(1)
    sent(several, 1)
    assert in_flight_tasks(several, NOW_S + later_s) == known


def test_a_copy_is_not_counted_and_the_rest_of_its_first_task_is():
    several = lanes(1, 1)
    sent(several, 1)
    sent(several[:1], 2)
    assert in_flight_tasks(several, NOW_S) == 1
    sent(several[1:], 3)
    assert in_flight_tasks(several, NOW_S) == 0
