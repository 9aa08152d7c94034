import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks import configuration, engine
from tasks.configuration import registry
from tasks.configuration.gate import HOUR_MS, OPEN, Gate, GateHistory
from tasks.frames.timestamps import STEP_BACK_MS
from tasks.protocol.outcome import Outcome
from tests.support.events import TIME_MS, trade

HERE = "tests.support.strategies"


def held(gate: Gate, passed: GateHistory, time_ms: int = TIME_MS, confidence: float = 0.6, interval_s: float = 0.0):
    return passed.held(gate, "BTCUSDT", "BTCUSDT buy", confidence, time_ms, interval_s)


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (OPEN, None),
        (Gate(killed=True, paused=True, min_confidence=1), "killed"),
        (Gate(paused=True, min_confidence=1), "paused"),
        (Gate(min_confidence=0.61), "confidence"),
        (Gate(min_confidence=0.6), None),
        (Gate(max_signals_per_hour=0), "per_hour"),
    ],
)
def test_the_first_reason_that_holds_is_given(gate: Gate, reason: str | None):
    assert held(gate, GateHistory()) == reason


def test_two_gates_let_through_only_what_both_let_through():
    one, other = Gate(min_confidence=0.5, max_signals_per_hour=9), Gate(killed=True, max_signals_per_hour=3)
    assert one.and_also(other) == Gate(killed=True, min_confidence=0.5, max_signals_per_hour=3)
    assert OPEN.and_also(OPEN) == OPEN


def test_the_limit_counts_in_clock_hours_of_event_time():
    gate, passed = Gate(max_signals_per_hour=2), GateHistory()
    hour_ms = TIME_MS // HOUR_MS * HOUR_MS
    reasons = []
    for time_ms in (hour_ms, hour_ms + 1, hour_ms + HOUR_MS - 1, hour_ms + HOUR_MS):
        reasons.append(held(gate, passed, time_ms))
        if reasons[-1] is None:
            passed.note("BTCUSDT", "BTCUSDT buy", time_ms)
    assert reasons == [None, None, "per_hour", None]


def test_what_is_held_back_does_not_start_a_cool_down():
    passed = GateHistory()
    assert held(Gate(min_confidence=0.9), passed, interval_s=5) == "confidence"
    assert held(OPEN, passed, interval_s=5) is None


@pytest.mark.parametrize(
    ("ahead_s", "silent_s"),
    [
        (3600, 0),  # whenever that signal was, it was longer ago than an interval, or the clock is of no use
        (60, 0),
        (59, 60),  # it may have been just now, but not for twice as long
        (3, 60),
        (2, 62),  # a step back that happens: no time has passed
        (0, 60),
    ],
)
def test_after_a_fast_clocks_signal_the_next_waits_an_interval_at_most(ahead_s: int, silent_s: int):
    """The time of the signal before may lie far ahead."""
    passed = GateHistory()
    passed.note("BTCUSDT", "BTCUSDT buy", TIME_MS + 1000 * ahead_s)
    reasons = [held(OPEN, passed, TIME_MS + 1000 * second, interval_s=60) for second in range(silent_s + 1)]
    assert reasons == ["cool_down"] * silent_s + [None]


@given(st.lists(st.integers(-10_000_000, 10_000_000), max_size=20), st.integers(0, 7_200), st.integers(-9_000, 9_000))
def test_whatever_the_clock_did_the_cool_down_ends_within_its_own_length(
    steps_ms: list[int], interval_s: int, gone: int
):
    passed, time_ms = GateHistory(), TIME_MS
    for step_ms in steps_ms:
        time_ms += step_ms
        if held(OPEN, passed, time_ms, interval_s=interval_s) is None:
            passed.note("BTCUSDT", "BTCUSDT buy", time_ms)
    again_ms = time_ms + gone
    held(OPEN, passed, again_ms, interval_s=interval_s)
    assert held(OPEN, passed, again_ms + interval_s * 1000 + STEP_BACK_MS, interval_s=interval_s) is None


@pytest.mark.parametrize("fault", [{"min_confidence": 1.1}, {"max_signals_per_hour": -1}, {"kiled": True}])
def test_a_gate_that_makes_no_sense_is_refused(fault: dict[str, object]):
    with pytest.raises(ValidationError):
        Gate.model_validate(fault)


def run(gates: dict[str, object], pool: dict[str, object], seconds: list[int]) -> Outcome:
    tables = {"pools": {"trade": {"kinds": ["trade"], "strategies": {f"{HERE}:Echo": gates}, **pool}}}
    chosen = configuration.check(tables, "it")
    strategies = registry.build(chosen)["trade"]
    events = [trade(id=n, seq=n, time_ms=TIME_MS + 1000 * second) for n, second in enumerate(seconds, start=1)]
    return engine.BatchRun("trade", "source", strategies, chosen.version, {}).finish(events)


def test_what_is_held_back_is_kept_with_its_reason_and_counted():
    outcome = run({"min_signal_interval_s": 5, "gate": {"max_signals_per_hour": 1}}, {}, [0, 2, 6, 12])
    assert len(outcome.signals) == 1
    kept = [json.loads(line) for line in outcome.held]
    assert [(line["reason"], line["signal"]["trigger"]["id"]) for line in kept] == [
        ("cool_down", 2),
        ("per_hour", 3),
        ("per_hour", 4),
    ]
    assert Counter({name: n for name, n in outcome.counts.items() if name.startswith(("held", "signals"))}) == Counter(
        {"signals:echo": 1, "held:cool_down": 1, "held:per_hour": 2}
    )


def test_a_pool_that_is_paused_holds_everything_back_and_its_states_go_on():
    paused, running = run({}, {"paused": True}, [0, 10]), run({}, {}, [0, 10])
    assert paused.signals == []
    assert [json.loads(line)["reason"] for line in paused.held] == ["paused", "paused"]
    assert len(running.signals) == 2
    assert paused.counts["applied"] == running.counts["applied"] == 2


@pytest.mark.parametrize("gates", [{"gate": {"off": True}}, {}])
def test_a_strategy_that_is_off_is_not_run_and_its_state_stands_still(gates: dict[str, object]):
    named = {f"{HERE}:Echo": {}, f"{HERE}:Grumpy": gates}
    chosen = configuration.check({"pools": {"trade": {"kinds": ["trade"], "strategies": named}}}, "it")
    events = [trade(id=n, seq=n, quantity=13.0) for n in (1, 2)]
    outcome = engine.BatchRun("trade", "source", registry.running(chosen)["trade"], "v", {}).finish(events)
    assert outcome.counts["errors:grumpy"] == (0 if gates else 2)
    assert ("state:spot:BTCUSDT:grumpy" in outcome.fields) == (not gates)
    assert (outcome.counts["signals:echo"], outcome.counts["applied"]) == (2, 2)
    assert [each.name for each in registry.build(chosen)["trade"]] == ["echo", "grumpy"]


def test_where_all_are_off_records_go_on_and_nothing_runs():
    tables = {"gate": {"off": True}, "pools": {"trade": {"kinds": ["trade"], "strategies": {f"{HERE}:Echo": {}}}}}
    strategies = registry.running(configuration.check(tables, "it"))["trade"]
    outcome = engine.BatchRun("trade", "source", strategies, "v", {}).finish([trade(id=1, seq=1)])
    assert (list(outcome.fields), outcome.counts["applied"]) == (["record:spot:BTCUSDT:trade"], 1)


def test_a_symbol_with_parameters_of_its_own_runs_under_them_and_the_others_do_not():
    own = {"symbols": {"ETHUSDT": {"min_signal_interval_s": 0}}, "min_signal_interval_s": 5}
    tables = {"pools": {"trade": {"kinds": ["trade"], "strategies": {f"{HERE}:Echo": own}}}}
    chosen = configuration.check(tables, "it")
    strategies = registry.build(chosen)["trade"]
    events = [
        trade(symbol=symbol, id=n, seq=n, time_ms=TIME_MS + 1000 * n)
        for n, symbol in enumerate(("BTCUSDT", "ETHUSDT", "BTCUSDT", "ETHUSDT"), start=1)
    ]
    outcome = engine.BatchRun("trade", "source", strategies, chosen.version, {}).finish(events)
    assert [json.loads(signal)["trigger"]["id"] for signal in outcome.signals] == [1, 2, 4]


@given(st.lists(st.integers(0, 8000), max_size=40), st.integers(1, 39), st.integers(1, 3))
def test_cutting_the_stream_anywhere_holds_back_the_same(seconds: list[int], cut: int, limit: int):
    chosen = configuration.check(
        {
            "gate": {"max_signals_per_hour": limit},
            "pools": {"trade": {"kinds": ["trade"], "strategies": {f"{HERE}:Echo": {}}}},
        },
        "it",
    )
    strategies = registry.build(chosen)["trade"]
    events = [trade(id=n, seq=n, time_ms=TIME_MS + 1000 * s) for n, s in enumerate(sorted(seconds), start=1)]
    whole = engine.BatchRun("trade", "source", strategies, "v", {}).finish(events)
    first = engine.BatchRun("trade", "source", strategies, "v", {}).finish(events[:cut])
    second = engine.BatchRun("trade", "source", strategies, "v", first.fields).finish(events[cut:])
    assert first.signals + second.signals == whole.signals
    assert first.held + second.held == whole.held
