"""Who ended a process, and what follows."""

import signal

import msgspec
import pytest

from tasks import engine
from tasks.protocol import dead_letters
from tasks.protocol.strikes import (
    MAX_STRIKES,
    NO_MEMORY_STATUS,
    NOTHING,
    ExcludedEvents,
    RunningBatch,
    Strike,
    StrikeNotice,
    find_excluded,
)
from tasks.worker.run_note import RunPosition
from tasks.worker.run_watch import POLL_S, ProcessState, WatchedProcess
from tests.support.strategies import Echo, Grumpy, bound, trades

LIMIT_S = 20.0
RUNNING = RunningBatch("trade", 3, 0, "7.aa", "core-7.aa@4", "core-7.aa", "c1", ("echo", "grumpy"))
AT = RunPosition(1, RUNNING, 5, "grumpy")


def watched(seconds: float = 0.0, state: ProcessState = ProcessState("S")) -> WatchedProcess:  # noqa: B008 immutable
    """Return a process that was seen at the same call for so long."""
    one = WatchedProcess()
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
    one = watched(10)
    one.take(AT._replace(seq=6), ProcessState("S"), 110.25)
    assert (one.call_s, one.task_s(110.25)) == (0, 10.25)
    one.take(AT._replace(task=2), ProcessState("S"), 111.0)
    assert one.task_s(111.0) == 0


# Excluded events


def starts(*counted: tuple[str, int]) -> list[bytes]:
    return [part for field, count in counted for part in (field.encode(), b"%d" % count)]


def test_an_event_is_excluded_after_enough_strikes_in_this_source():
    field = Strike(RUNNING, "grumpy", 5, 1, "").field
    elsewhere = Strike(msgspec.structs.replace(RUNNING, source="core-8.bb"), "grumpy", 5, 1, "").field
    found = find_excluded("core-7.aa", starts(("7.aa||core-7.aa@9", 3), (field, MAX_STRIKES), (elsewhere, 9)), None)
    assert found == ExcludedEvents(frozenset(), frozenset({("grumpy", 5)}))
    assert find_excluded("core-7.aa", starts(("7.aa||x@9", 1), (field, MAX_STRIKES - 1)), None) == NOTHING


def test_stopped_strategies_are_excluded_and_unreadable_strikes_ignored():
    ended = b'{"grumpy":{"event":"s@5","at_s":1,"stopped":true,"why":""},"echo":{"event":"s@5","at_s":1,"stopped":false,"why":""}}'
    assert find_excluded("s", starts(("7.aa||s@9", 1)), ended).strategies == {"grumpy"}
    assert find_excluded("s", [], b"[nonsense") == find_excluded("s", [], None) == NOTHING


def test_an_excluded_event_is_a_dead_letter_and_others_are_given_it():
    events = trades(1, 1, 1)
    strategies = bound(Grumpy.create({}), Echo.create({}))
    options = engine.RunOptions(excluded=ExcludedEvents(events=frozenset({("grumpy", 2)})))
    outcome = engine.BatchRun("trade", "s", strategies, "c1", {}, options).finish(events)
    [letter] = map(dead_letters.unpack, outcome.letters)
    assert (letter.reason, letter.strategy, letter.event) == ("strategy_error", "grumpy", events[1])
    assert "ended with its process" in letter.detail
    assert outcome.counts.by_label("signals") == {"grumpy": 2, "echo": 3}
    assert outcome.counts.by_label("errors") == {"grumpy": 1}


def test_a_stopped_strategy_is_given_nothing_and_its_state_stands_still():
    events = trades(1, 1)
    strategies = bound(Grumpy.create({}), Echo.create({}))
    options = engine.RunOptions(excluded=ExcludedEvents(strategies=frozenset({"grumpy"})))
    outcome = engine.BatchRun("trade", "s", strategies, "c1", {}, options).finish(events)
    assert (outcome.counts.of("signals", "echo"), outcome.counts.of("signals", "grumpy"), outcome.letters) == (2, 0, [])
    assert not [name for name in outcome.fields if name.endswith(":grumpy")]


def test_a_run_says_at_any_time_which_event_and_strategy_it_is_at():
    progress = [0, 0]
    seen = []

    class Witness(Echo):
        name = "witness"

        def on_trade(self, trade, state):
            seen.append(tuple(progress))
            return super().on_trade(trade, state)

    options = engine.RunOptions(lambda: 0, progress=progress)
    strategies = bound(Echo.create({}), Witness.create({}))
    engine.BatchRun("trade", "s", strategies, "c1", {}, options).finish(trades(1, 1))
    assert seen == [(1, 2), (2, 2)]
    assert progress[1] == 0


def test_a_notice_says_of_which_lane_and_epoch_and_the_result():
    notice = Strike(RUNNING, "grumpy", 5, 1, "").notice + "stopped"
    assert StrikeNotice.parse(notice) == StrikeNotice("trade", 3, "7.aa", "stopped")
    for wrong in ("strike|trade|x|7.aa|stopped", "strike|trade", "trade|3|7.aa|s@4|x"):
        with pytest.raises(ValueError, match=r"."):
            StrikeNotice.parse(wrong)
