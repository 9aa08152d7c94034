"""Which queue a task goes to, and what comes of it. The test has the clock, and commits."""

from collections.abc import Sequence
from itertools import chain

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.lanes.lane import Lane, LaneEvent
from ingest.lanes.task_packing import FULL_EVENTS, Workforce
from ingest.lanes.task_routing import TaskRouter
from tasks.events import Position
from tasks.protocol.routing import LaneId
from tasks.protocol.task_name import worker_queue

POOLS = ("A", "B")
W1, W2, W3 = map(worker_queue, ("w1", "w2", "w3"))
POOL = ""


def workers(*queues: str, pools: Sequence[str] = POOLS) -> list[tuple[set[str], int]]:
    """Return a worker of one process for each of these queues, which serves all the pools."""
    return [({queue, *pools}, 1) for queue in queues]


class Lanes:
    """Lanes that send through a router, each in a task of its own unless told otherwise."""

    def __init__(self, *queues: str, shard: int = 0, is_quiet: bool = True) -> None:
        self.router, self.workforce = TaskRouter(shard), Workforce(workers(*queues))
        self._seq = 0
        self.by_pool = {pool: [self._lane(pool, number) for number in range(3)] for pool in (*POOLS, "C")}
        if is_quiet:
            self.be_quiet()

    def be_quiet(self) -> None:
        """Send and commit a small task of each pool, so that the next one is the second in a row."""
        for lanes in self.by_pool.values():
            self.send(lanes[0])
            self.commit(lanes[0])

    def in_a_row(self, tasks: int) -> list[str]:
        """Return the queues of small tasks that follow one another."""
        queues, lane = [], self.by_pool["A"][2]
        for _ in range(tasks):
            queues.append(self.send(lane))
            self.commit(lane)
        return queues

    def _lane(self, pool: str, number: int) -> Lane:
        made = Lane(LaneId(pool, number))
        made.begin("core-1.aa", None, [])
        return made

    def fill(self, lane: Lane, events: int = 1) -> None:
        for _ in range(events):
            self._seq += 1
            lane.offer(LaneEvent(self._seq, msgspec.Raw(), 10, "trade", ("spot", "X"), 0, 0), 10**6)

    def send(self, *lanes: Lane, events: int = 1) -> str:
        for lane in lanes:
            self.fill(lane, events)
            assert lane.launch()
        return self.router.send(lanes, self.workforce, 0.0)

    def commit(self, *lanes: Lane) -> None:
        for lane in lanes:
            task = lane.task
            lane.settle(Position("core-1.aa", lane.flight[-1].seq), 0.0)
            self.router.committed(task, 0.0)

    def send_again(self, lane: Lane) -> str:
        return self.router.send([lane], self.workforce, 1.0)

    def left_behind(self, workforce: Workforce | None) -> list[Lane]:
        return self.router.left_behind(chain.from_iterable(self.by_pool.values()), workforce)


@pytest.fixture
def made() -> Lanes:
    return Lanes(W2, W1)


def test_from_the_second_in_a_row_on_small_tasks_go_to_the_same_worker():
    assert Lanes(W2, W1, is_quiet=False).in_a_row(4) == [POOL, W1, W1, W1]


def test_it_does_not_matter_which_lanes_of_a_group_they_come_from(made: Lanes):
    lane, other = made.by_pool["A"][0], made.by_pool["B"][1]
    for sent in ([lane], [other], [lane, other], [other]):
        assert made.send(*sent) == W1
        made.commit(*sent)


def test_a_task_beside_another_goes_to_the_queue_of_its_pool(made: Lanes):
    first, second, third = made.by_pool["A"]
    assert made.send(first) == W1
    assert made.send(second) == POOL
    made.commit(first)
    assert made.send(third) == POOL
    made.commit(second, third)
    assert made.in_a_row(2) == [POOL, W1]


def test_a_task_of_several_batches_is_in_flight_until_all_are_committed(made: Lanes):
    first, second, _ = made.by_pool["A"]
    assert made.send(first, second) == W1
    made.commit(first)
    assert made.send(first) == POOL
    made.commit(first, second)
    assert made.in_a_row(2) == [POOL, W1]


def test_a_full_task_goes_to_the_queue_of_its_pool(made: Lanes):
    lane = made.by_pool["A"][0]
    assert made.send(lane, events=FULL_EVENTS - 1) == W1
    made.commit(lane)
    assert made.send(lane, events=FULL_EVENTS) == POOL
    made.commit(lane)
    assert made.in_a_row(3) == [POOL, W1, W1]


@pytest.mark.parametrize(
    "served",
    [workers(W1), [({"A"}, 1), ({"A"}, 2)], [({"A", W1}, 1), ({"A", W2}, 0)], [({"A", W1}, 1), ({"B", W2}, 1)], []],
    ids=["one", "without queues of their own", "without processes", "of other pools", "none"],
)
def test_where_there_is_no_choice_of_workers_the_pool_has_the_task(made: Lanes, served):
    made.workforce = Workforce(served)
    made.be_quiet()
    assert made.send(made.by_pool["A"][0]) == POOL


def test_where_nobody_knows_who_works_the_pool_has_the_task(made: Lanes):
    lane = made.by_pool["A"][0]
    made.fill(lane)
    lane.launch()
    assert made.router.send([lane], None, 0.0) == POOL


def test_a_task_is_not_alone_while_its_workers_have_one_of_another_pool(made: Lanes):
    """The worker could be at that one."""
    made.workforce = Workforce([*workers(W1, W2, pools=("A", "B")), *workers(W3, "worker.w4", pools=("A",))])
    made.be_quiet()
    a, b = made.by_pool["A"][0], made.by_pool["B"][0]
    assert made.send(b) == W1
    assert made.send(a) == POOL


def test_tasks_of_pools_that_share_no_worker_are_each_alone(made: Lanes):
    made.workforce = Workforce([*workers(W1, W2, pools=("A",)), *workers(W3, "worker.w4", pools=("C",))])
    made.be_quiet()
    assert [made.send(made.by_pool[pool][0]) for pool in "AC"] == [W1, W3]


@pytest.mark.parametrize(("shard", "queue"), [(0, W1), (1, W2), (2, W1)])
def test_shards_prefer_different_workers(shard: int, queue: str):
    made = Lanes(W1, W2, shard=shard)
    assert made.send(made.by_pool["A"][0]) == queue


def test_what_is_sent_again_goes_to_the_pool_and_others_to_another_worker(made: Lanes):
    lane = made.by_pool["A"][0]
    made.send(lane)
    assert made.send_again(lane) == POOL
    assert made.send_again(lane) == POOL
    made.commit(lane)
    assert made.send(lane) == W2


def test_a_worker_that_failed_is_not_preferred_again_when_another_comes(made: Lanes):
    """One that was killed is taken for alive for ten seconds more, and its successor comes meanwhile."""
    lane = made.by_pool["A"][0]
    made.send(lane)
    made.send_again(lane)
    made.commit(lane)
    for came in ("worker.w0", W3, "worker.w4"):
        made.workforce = Workforce(workers(W1, W2, came))
        assert made.send(lane) not in {"", W1}
        made.commit(lane)


def test_when_all_workers_have_failed_each_gets_another_chance(made: Lanes):
    lane = made.by_pool["A"][0]
    for queue in (W1, W2, W1, W2):
        assert made.send(lane) == queue
        made.send_again(lane)
        made.commit(lane)


def test_a_task_is_not_alone_while_another_one_is_sent_again(made: Lanes):
    """Any worker may be at it, also the one that would be preferred now."""
    slow, other, _ = made.by_pool["A"]
    made.send(slow)
    for _ in range(2):
        made.send_again(slow)
        assert made.send(other) == POOL
        made.commit(other)
    made.commit(slow)
    assert made.in_a_row(2) == [POOL, W2]


def test_a_batch_that_is_halved_goes_to_the_pool(made: Lanes):
    lane = made.by_pool["A"][0]
    made.send(lane, events=4)
    assert lane.decide(10, 1.0, copy_life_s=1, queue_full=False) == "resend"
    assert (made.send_again(lane), len(lane.flight)) == (POOL, 2)


def test_a_lane_is_left_behind_when_the_worker_is_gone_that_has_its_task(made: Lanes):
    first, second, third = made.by_pool["A"]
    made.send(first, second)
    made.send(third)
    gone = Workforce(workers(W2))
    assert [made.left_behind(each) for each in (made.workforce, None, gone)] == [[], [], [first, second]]
    made.commit(first)
    assert made.left_behind(gone) == [second]
    made.send_again(second)
    assert made.left_behind(gone) == []


def test_a_new_epoch_has_nothing_in_flight(made: Lanes):
    first, second, _ = made.by_pool["A"]
    for lane in (first, second):
        made.send(lane)
    made.send_again(second)
    made.router.restart()
    assert made.left_behind(Workforce([])) == []
    assert made.in_a_row(2) == [POOL, W1]


_steps = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 2), st.integers(1, FULL_EVENTS)), max_size=30)


@given(_steps, st.lists(st.sampled_from([W1, W2, W3]), unique=True), st.integers(0, 3))
def test_a_worker_has_one_small_task_of_a_shard_at_most_and_none_again(steps, queues, shard):
    """Whatever is sent, sent again and committed in between."""
    made, at_worker = Lanes(*queues, shard=shard), dict[str, Lane]()
    for pool, number, events in steps:
        lane = made.by_pool[pool][number]
        busy = {at: each for at, each in at_worker.items() if each.flight}
        if lane.flight and events % 2:
            made.commit(lane)
            continue
        is_again = bool(lane.flight)
        queue = made.send_again(lane) if is_again else made.send(lane, events=events)
        assert not (queue and (is_again or busy or events >= FULL_EVENTS))
        at_worker = {at: each for at, each in busy.items() if each is not lane}
        if queue:
            at_worker[queue] = lane
