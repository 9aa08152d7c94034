"""Who ended a process, by how and where it was seen last."""

import signal

import pytest

from tasks.protocol.strikes import (
    MAX_STRIKES,
    NO_MEMORY_STATUS,
    RunningBatch,
    Strike,
)
from tasks.worker.run_note import RunPosition
from tasks.worker.run_watch import POLL_S, ProcessState, WatchedProcess

LIMIT_S = 20.0
RUNNING = RunningBatch("trade", 3, 0, "7.aa", "core-7.aa@4", "core-7.aa", "c1", ("echo", "grumpy"))
AT = RunPosition(1, RUNNING, 5, "grumpy")


ASLEEP = ProcessState("S")


def watched(seconds: float = 0.0, state: ProcessState = ASLEEP, *, before_s: float = LIMIT_S) -> WatchedProcess:
    """Return a process that was seen at the same call for so long, and `before_s` at others of its task."""
    one = WatchedProcess()
    one.take(AT._replace(strategy=""), state, 100.0 - before_s)
    for look in range(round(seconds / POLL_S) + 1):
        one.take(AT, state, 100.0 + look * POLL_S)
    return one


def weight(strike: Strike | None) -> int:
    return strike.weight if strike else 0


@pytest.mark.parametrize(
    ("exit_code", "seconds", "expected"),
    [
        (-signal.SIGSEGV, 0, MAX_STRIKES),
        (-signal.SIGABRT, 0, MAX_STRIKES),
        (0, 0, MAX_STRIKES),
        (3, 0, MAX_STRIKES),
        (NO_MEMORY_STATUS, 0, 0),
        (-signal.SIGALRM, 19, MAX_STRIKES),
        # Many calls that took long together: the batch is halved.
        (-signal.SIGALRM, 1, 0),
        # Anybody may have killed it, twice in the same call as well: only the fourth time is no chance.
        (-signal.SIGKILL, 0, 1),
        (-signal.SIGTERM, 0, 1),
        (-signal.SIGKILL, 1, 1),
        # A solo worker, of which nobody knows how it ended.
        (None, 0, 1),
        (None, 1, 1),
        (None, 19, MAX_STRIKES),
    ],
)
def test_an_end_counts_by_how_sure_it_is_that_the_strategy_did_it(exit_code, seconds, expected):
    strike = watched(seconds).strike(exit_code, LIMIT_S)
    assert weight(strike) == expected
    assert strike is None or (strike.strategy, strike.event) == ("grumpy", "core-7.aa@5")


def test_an_alarm_long_before_the_limit_is_no_proof_and_counts_once():
    """The strategy, or a library of it, set it; or one that ran before it in the same task."""
    strike = watched(1, before_s=0).strike(-signal.SIGALRM, LIMIT_S)
    assert strike is not None
    assert (strike.weight, strike.strategy, strike.why) == (1, "grumpy", "was ended by an alarm of its own")


def test_a_process_that_runs_no_strategy_ends_on_nobodys_account():
    one = WatchedProcess()
    one.take(AT._replace(strategy=""), ProcessState("R"), 1.0)
    assert one.strike(-signal.SIGSEGV, LIMIT_S) is None


def test_a_process_that_was_killed_for_its_time_counts_as_hung():
    one = watched(21)
    one.killed = True
    assert weight(one.strike(-signal.SIGKILL, LIMIT_S)) == MAX_STRIKES


def test_the_time_in_which_a_process_was_stopped_is_not_counted():
    assert watched(30, ProcessState("T")).call_s == 0
    assert weight(watched(30, ProcessState("T")).strike(-signal.SIGALRM, LIMIT_S)) == 0


def test_the_time_in_which_a_process_got_no_processor_is_not_counted():
    starved = watched(30, ProcessState("R", 7))
    assert starved.call_s == 0
    starved.take(AT, ProcessState("R", 8), 130.25)
    assert starved.call_s == POLL_S


def test_the_time_in_which_the_watch_was_stopped_is_not_counted():
    one = watched(1)
    one.take(AT, ProcessState("S"), 1_000.0)
    assert one.call_s == 1 + 2 * POLL_S


def test_each_call_is_counted_for_itself_and_the_task_as_a_whole():
    one = watched(10, before_s=0)
    one.take(AT._replace(seq=6), ProcessState("S"), 110.25)
    assert (one.call_s, one.task_s(110.25)) == (0, 10.25)
    one.take(AT._replace(task=2), ProcessState("S"), 111.0)
    assert one.task_s(111.0) == 0
