"""What the probes of a worker say, at which age of its signs of life."""

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
def vitals(clock: Clock) -> WorkerHealth:
    """Return a worker that is well; a batch of it may run for 20 s."""
    vitals = WorkerHealth(20.0, clock)
    vitals.listening, vitals.processes, vitals.wanted, vitals.port = True, 2, 2, 8081
    vitals.answered(well=True)
    return vitals


def parts(vitals: WorkerHealth) -> set[str]:
    """Return the parts that /ready says are missing."""
    well, said = vitals.ready()
    missing = {name for name, value in said.items() if value is False and name != "stopping"}
    assert well is (not missing and not said["stopping"])
    return missing


def test_a_worker_that_is_well_is_ready_and_says_where_it_listens(vitals):
    assert parts(vitals) == set()
    said: dict[str, Any] = vitals.ready()[1]
    assert (said["port"], said["processes"], said["processes_wanted"]) == (8081, 2, 2)


def test_silence_longer_than_a_batch_may_run_and_sockets_may_wait_is_death(vitals, clock):
    clock.now_s += 59.9
    assert vitals.healthz() == (True, {"heartbeat_age_s": 59.9})
    clock.now_s += 0.2
    assert vitals.healthz()[0] is False
    vitals.beat()
    assert vitals.healthz() == (True, {"heartbeat_age_s": 0.0})


def test_a_stop_may_take_its_time_and_is_not_ready(vitals, clock):
    vitals.stopping = True
    clock.now_s += 100
    assert vitals.healthz()[0] is True
    assert vitals.ready()[0] is False


def test_a_ledger_that_refuses_is_unavailable_at_once_a_silent_one_later(vitals, clock):
    """A silent one is unavailable after two rounds."""
    clock.now_s += 8.9
    assert "redis" not in parts(vitals)
    clock.now_s += 0.2
    assert "redis" in parts(vitals)
    vitals.answered(well=True)
    assert "redis" not in parts(vitals)
    vitals.answered(well=False)
    assert "redis" in parts(vitals)


@pytest.mark.parametrize(("attribute", "value", "part"), [("listening", False, "broker"), ("processes", 0, "pool")])
def test_each_part_that_is_missing_is_named(vitals, attribute, value, part):
    setattr(vitals, attribute, value)
    assert parts(vitals) == {part}


def test_the_gauges_say_the_same(vitals, clock):
    clock.now_s += 3
    assert {family.name: family.samples[0].value for family in vitals.collect()} == {
        "worker_broker_up": 1.0,
        "worker_heartbeat_age_seconds": 3.0,
    }
