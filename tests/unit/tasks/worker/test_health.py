"""What the probes of a worker say, at which age of its signs of life."""

from collections.abc import Callable
from typing import Any

import pytest

from tasks.worker.health import WorkerHealth


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> WorkerHealth:
    """Return a worker that is well; a batch of it may run for 20 s."""
    health = WorkerHealth(20.0, clock)
    health.listen()
    health.observe(2, 2, {"trade", "depth"})
    health.answered(well=True)
    return health


def parts(health: WorkerHealth) -> set[str]:
    """Return the parts that /ready says are missing."""
    well, said = health.ready()
    missing = {name for name, value in said.items() if value is False and name != "stopping"}
    assert well is (not missing and not said["stopping"])
    return missing


def test_a_worker_that_is_well_is_ready_and_says_what_it_works_off(health):
    assert parts(health) == set()
    said: dict[str, Any] = health.ready()[1]
    assert (said["queues"], said["processes"], said["processes_wanted"]) == (["depth", "trade"], 2, 2)


def test_silence_longer_than_a_batch_may_run_and_sockets_may_wait_is_death(health, clock):
    clock.now_s += 59.9
    assert health.healthz() == (True, {"heartbeat_age_s": 59.9})
    clock.now_s += 0.2
    assert health.healthz()[0] is False
    health.beat()
    assert health.healthz() == (True, {"heartbeat_age_s": 0.0})


def test_a_stop_may_take_its_time_and_is_not_ready(health, clock):
    health.stop()
    clock.now_s += 100
    assert health.healthz()[0] is True
    assert health.ready()[0] is False


def test_a_ledger_that_refuses_is_unavailable_at_once_a_silent_one_later(health, clock):
    """A silent one is unavailable after two rounds."""
    clock.now_s += 8.9
    assert "redis" not in parts(health)
    clock.now_s += 0.2
    assert "redis" in parts(health)
    health.answered(well=True)
    assert "redis" not in parts(health)
    health.answered(well=False)
    assert "redis" in parts(health)


@pytest.mark.parametrize(
    ("change", "part"), [(WorkerHealth.pause, "broker"), (lambda health: health.observe(0, 2, ["depth"]), "pool")]
)
def test_each_part_that_is_missing_is_named(health: WorkerHealth, change: Callable[[WorkerHealth], None], part: str):
    change(health)
    assert parts(health) == {part}


def test_the_gauges_say_the_same(health, clock):
    clock.now_s += 3
    assert {family.name: family.samples[0].value for family in health.collect()} == {
        "worker_broker_up": 1.0,
        "worker_heartbeat_age_seconds": 3.0,
    }
