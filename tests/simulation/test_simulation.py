"""The simulator itself: new seeds, seeds that failed, planted bugs, and that a seed says everything."""

import re
import time

import pytest
from redis.asyncio.lock import Lock
from typer.testing import CliRunner

from tests.simulation import ingest_process
from tests.simulation.commands import app
from tests.simulation.planted import FOUND_BY, PLANTED, planted
from tests.simulation.simulation import simulate

#: Each found a bug of the protocol, or of the simulator, before people did anything in it.
ONCE_FAILED = (13, 279, 3_048, 235_401_487_151, 235_401_487_613)
#: Each found one while people did something or an event was fatal: a search for it without an end, Redis that goes back, to
#: before a loss of the stream's end or in the middle of a claim.
#: The last two found faults of the simulator: it took a loss that was still to be noticed for the end, and a leader that had
#: lost its lease for one that goes on.
ONCE_FAILED_OPERATED = (
    5_368, 3_006_367, 3_006_387, 30_001_077, 50_001_459, 70_003_315, 71_002_163, 71_003_563, 60_000_677, 93_658_332_628
)  # fmt: skip

#: Its workers have queues of their own, and some are killed.
WITH_OWN_QUEUES = 500_000_000_003


@pytest.mark.timeout(300)
def test_new_seeds_violate_nothing():
    seed, end_s = time.time_ns(), time.monotonic() + 5
    while not (outcome := simulate(seed)).violation and time.monotonic() < end_s:
        seed += 1
    assert not outcome.violation, "\n".join([f"./run sim --seed {seed}", *outcome.trace[-50:]])


def test_the_command_ends_with_1_and_names_what_was_violated():
    with planted("the fence does not look at the epoch"):
        found = CliRunner().invoke(app, ["sim", "--seed", "238", "--without-actions"])
    passed = CliRunner().invoke(app, ["sim", "--seed", "238", "--without-actions"])
    assert (found.exit_code, passed.exit_code) == (1, 0)
    *_, violation, last = found.output.splitlines()
    assert violation == "seed 238: Violation: record:spot:XRPUSDT:trade goes back to 3 events"
    assert re.fullmatch(r"1 seed, \d+ events, \d+ faults, 0 tasks to single workers, 1 violations, \d+ s", last)
    assert re.fullmatch(
        r"1 seed, \d+ events, \d+ faults, 0 tasks to single workers, 0 violations, \d+ s",
        passed.output.splitlines()[-1],
    )


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
        found = simulate(seed, operated=operated).violation
    assert found.startswith("Violation: "), "another seed may find it: ./run sim --planted"


def test_tasks_go_to_workers_of_which_one_is_killed_and_comes_as_another():
    done = simulate(WITH_OWN_QUEUES, keep_trace=True)
    started = [line for line in done.trace if "with the queue" in line]
    assert not done.violation
    assert done.own_tasks > 5
    assert len(started) > len({line.split()[2] for line in started}) > 1


def test_a_seed_decides_everything_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NAMESPACE", "another")
    monkeypatch.setenv("INGEST_START", "new")
    ingest_process.settings.cache_clear()
    once, again = (simulate(7, keep_trace=True) for _ in range(2))
    assert once == again
    assert not once.violation
    assert len(once.trace) > 10
    assert simulate(8, keep_trace=True).trace != once.trace


def test_a_simulation_leaves_no_script_to_clients_outside():
    before = Lock.lua_release
    simulate(0)
    assert Lock.lua_release is before
