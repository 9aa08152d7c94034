"""What strikes lead to: events and strategies that a run leaves out."""

import msgspec
import pytest

from tasks import engine
from tasks.protocol import dead_letters
from tasks.protocol.strikes import (
    MAX_STRIKES,
    NOTHING,
    ExcludedEvents,
    RunningBatch,
    Strike,
    StrikeNotice,
    find_excluded,
)
from tests.support.strategies import Echo, Grumpy, bound, trades

RUNNING = RunningBatch("trade", 3, 0, "7.aa", "core-7.aa@4", "core-7.aa", "c1", ("echo", "grumpy"))


def starts(*counted: tuple[str, int]) -> list[bytes]:
    return [part for field, count in counted for part in (field.encode(), b"%d" % count)]


def test_an_event_is_excluded_after_enough_strikes_in_this_source():
    field = Strike(RUNNING, "grumpy", 5, 1, "").field
    elsewhere = Strike(msgspec.structs.replace(RUNNING, source="core-8.bb"), "grumpy", 5, 1, "").field
    found = find_excluded("core-7.aa", starts(("7.aa||core-7.aa@9", 3), (field, MAX_STRIKES), (elsewhere, 9)), None)
    assert found == ExcludedEvents(frozenset(), frozenset({("grumpy", 5)}))
    assert find_excluded("core-7.aa", starts(("7.aa||x@9", 1), (field, MAX_STRIKES - 1)), None) == NOTHING


def test_strikes_and_starts_that_are_no_numbers_exclude_nothing():
    field = Strike(RUNNING, "grumpy", 5, 1, "").field.encode()
    for count in (b"no number", b"9" * 5_000):
        assert find_excluded("core-7.aa", [field, count, b"7.aa||s@9", b""], None) == NOTHING


@pytest.mark.parametrize("field", [b"strike|", b"strike|s", b"strike|s@x|echo", b"strike|\xff", b"strike|s@|echo"])
def test_strikes_that_somebody_else_wrote_exclude_nothing(field: bytes):
    assert find_excluded("s", [field, b"9"], None) == NOTHING


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
