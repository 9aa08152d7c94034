"""The gate's memory: which signals it holds back, why, and what of it is saved."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks import configuration, engine
from tasks.configuration import registry
from tasks.configuration.gate import OPEN, Gate
from tasks.engine import MemoryLedger
from tasks.engine.gate_history import HOUR_MS, GateHistory
from tasks.events import STEP_BACK_MS
from tasks.protocol.outcome import Outcome
from tasks.protocol.strategy_counts import strategy_counts
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


def test_the_limit_counts_in_clock_hours_of_event_time():
    gate, passed = Gate(max_signals_per_hour=2), GateHistory()
    hour_ms = TIME_MS // HOUR_MS * HOUR_MS
    reasons = []
    for time_ms in (hour_ms, hour_ms + 1, hour_ms + HOUR_MS - 1, hour_ms + HOUR_MS):
        reasons.append(held(gate, passed, time_ms))
        if reasons[-1] is None:
            passed.note("BTCUSDT", "BTCUSDT buy", time_ms)
    assert reasons == [None, None, "per_hour", None]


def test_what_is_saved_of_it_are_these_bytes_for_ever():
    """States outlive releases."""
    history = GateHistory()
    history.note("BTCUSDT", "BTCUSDT buy", TIME_MS)
    saved = b"\x92\x81\xabBTCUSDT buy\xcf\x00\x00\x01\x91\x34\x6f\x60\x00\x81\xa7BTCUSDT\x92\xce\x00\x07\x4d\xc0\x01"
    assert msgspec.msgpack.encode(history) == saved
    assert msgspec.msgpack.decode(saved, type=GateHistory) == history


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


@example(steps_ms=[0], interval_s=1, gone=-2_001)
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
    assert (outcome.counts.by_label("signals"), outcome.counts.by_label("held")) == (
        {"echo": 1},
        {"cool_down": 1, "per_hour": 2},
    )
    assert strategy_counts(outcome.counts)["echo"].held == {"cool_down": 1, "per_hour": 2}


def test_a_pool_that_is_paused_holds_everything_back_and_its_states_go_on():
    paused, running = run({}, {"paused": True}, [0, 10]), run({}, {}, [0, 10])
    assert paused.signals == []
    assert [json.loads(line)["reason"] for line in paused.held] == ["paused", "paused"]
    assert len(running.signals) == 2
    assert paused.counts.of("applied") == running.counts.of("applied") == 2


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
    whole = MemoryLedger("source").run("trade", events, strategies, "v")
    ledger = MemoryLedger("source")
    first, second = (ledger.run("trade", some, strategies, "v") for some in (events[:cut], events[cut:]))
    assert first.signals + second.signals == whole.signals
    assert first.held + second.held == whole.held
