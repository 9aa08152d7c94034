"""The simulator itself: new seeds, seeds that failed, planted bugs, and that a seed says everything."""

import os
import time

import pytest

from tests.simulation import ingest_process
from tests.simulation.planted import FOUND_BY, PLANTED, planted
from tests.simulation.world import simulate

#: For how long new seeds are tried.
SIMULATE_S = float(os.environ.get("SIMULATE_S", "60"))
#: Each found a bug of the protocol, or of the simulator, before people did anything in it.
ONCE_FAILED = (13, 279, 3_048, 235_401_487_151, 235_401_487_613)
#: Each found one while people did something: a loss of the stream's end before which Redis goes back.
ONCE_FAILED_OPERATED = (3_006_367, 3_006_387)


@pytest.mark.timeout(SIMULATE_S + 180)
def test_new_seeds_violate_nothing():
    first, end_s = time.time_ns(), time.monotonic() + SIMULATE_S
    seeds = events = faults = 0
    while time.monotonic() < end_s or not seeds:
        outcome = simulate(first + seeds)
        assert not outcome.violation, "\n".join([f"./run sim --seed {outcome.seed}", *outcome.trace[-50:]])
        seeds, events, faults = seeds + 1, events + outcome.events, faults + outcome.faults
    print(f"seeds from {first} on: {seeds:,}, with {events:,} events and {faults:,} faults")


@pytest.mark.parametrize("seed", ONCE_FAILED)
def test_a_seed_that_once_failed_violates_nothing(seed: int):
    assert not simulate(seed, operated=False).violation


@pytest.mark.parametrize("seed", ONCE_FAILED_OPERATED)
def test_a_seed_that_once_failed_with_actions_violates_nothing(seed: int):
    assert not simulate(seed).violation


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str):
    seed, operated = FOUND_BY[name]
    assert not simulate(seed, operated=operated).violation
    with planted(name):
        assert simulate(seed, operated=operated).violation, "another seed may find it: ./run sim --planted"


def test_a_seed_decides_everything_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NAMESPACE", "another")
    monkeypatch.setenv("INGEST_START", "new")
    ingest_process.settings.cache_clear()
    once, again = (simulate(7, keep_trace=True) for _ in range(2))
    assert once == again
    assert not once.violation
    assert len(once.trace) > 10
    assert simulate(8, keep_trace=True).trace != once.trace
