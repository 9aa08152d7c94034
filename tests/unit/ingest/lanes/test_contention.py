"""Whether tasks get in each other's way: measured from when they are sent and committed. The test has the clock."""

import pytest

from ingest.lanes.contention import MAX_HOLD_BACK_S, SLOWER, TASK_EVENTS, TRY_EVERY_S, ContentionEstimator

GROUP, OTHER = ("depth", "trade"), ("basket",)
EVENTS = 10


class Clock:
    """Sends tasks that take as long as told."""

    def __init__(self) -> None:
        self.contention, self.now_s, self._task = ContentionEstimator(), 100.0, 0

    def send(self, group: tuple[str, ...] = GROUP, batches: int = 1, events: int = EVENTS) -> int:
        self._task += 1
        self.contention.sent(self._task, group, batches, events, self.now_s)
        return self._task

    def alone(self, seconds: float, events: int = EVENTS) -> None:
        task = self.send(events=events)
        self.now_s += seconds
        self.contention.committed(task, self.now_s)

    def concurrent(self, seconds: float) -> None:
        tasks = [self.send(), self.send()]
        self.now_s += seconds
        for task in tasks:
            self.contention.committed(task, self.now_s)

    def slows(self) -> bool:
        """Ask as somebody who has not waited yet."""
        self.contention.lost(self.send())
        return self.contention.slows(GROUP, self.now_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("longer", [1.0, SLOWER - 0.01, SLOWER + 0.01, 2.0])
def test_tasks_slow_each_other_where_two_at_once_take_a_fifth_longer_each(clock: Clock, longer: float):
    clock.alone(0.010)
    clock.concurrent(0.010 * longer)
    assert clock.slows() == (longer > 1.2)


def test_a_task_of_more_events_may_take_longer(clock: Clock):
    clock.alone(0.010, events=EVENTS)
    clock.alone(0.020, events=EVENTS + 2 * TASK_EVENTS)
    clock.concurrent(0.010)
    assert not clock.slows()


def test_with_nothing_measured_one_task_goes_alone_then_two_together(clock: Clock):
    assert clock.slows()
    clock.alone(0.010)
    assert not clock.slows()


@pytest.mark.parametrize("concurrent_s", [0.010, 0.020])
def test_each_second_one_task_goes_alone_and_one_with_others(clock: Clock, concurrent_s: float):
    """This holds whatever was found before."""
    clock.alone(0.010)
    clock.concurrent(concurrent_s)
    clock.now_s += TRY_EVERY_S
    assert clock.slows()
    clock.alone(0.010)
    assert not clock.slows()
    clock.concurrent(concurrent_s)
    assert clock.slows() == (concurrent_s > 0.010)


def test_no_task_waits_long_for_others_and_then_none_waits_for_a_second(clock: Clock):
    assert clock.slows()
    clock.now_s += MAX_HOLD_BACK_S
    assert not clock.contention.slows(GROUP, clock.now_s)
    assert not clock.slows()
    clock.now_s += TRY_EVERY_S
    assert not clock.contention.slows(GROUP, clock.now_s), "it has waited since"
    clock.now_s += TRY_EVERY_S + 0.001
    assert clock.slows()


def test_a_task_ends_with_the_last_of_its_batches(clock: Clock):
    task = clock.send(batches=2)
    clock.now_s += 0.005
    clock.contention.committed(task, clock.now_s)
    assert clock.contention.slows(GROUP, clock.now_s), "nothing is measured yet"
    clock.contention.committed(task, clock.now_s)
    assert not clock.contention.slows(GROUP, clock.now_s)


def test_a_task_that_was_lost_is_not_measured_and_concurrent_with_none(clock: Clock):
    lost = clock.send()
    clock.contention.lost(lost)
    clock.alone(0.010)
    clock.now_s += 5
    clock.contention.committed(lost, clock.now_s)
    clock.concurrent(0.020)
    clock.alone(0.010)
    assert clock.slows()


def test_tasks_of_another_group_are_not_concurrent(clock: Clock):
    clock.send(OTHER)
    clock.alone(0.010)
    assert not clock.slows(), "one went alone"
