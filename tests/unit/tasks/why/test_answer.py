"""The answer: which verdict, what the gate said, and why there is no signal."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.configuration.gate import Gate
from tasks.engine import MemoryLedger
from tasks.events import AnyEvent
from tasks.why import answer
from tasks.why.answer import Answer, ConfigurationAnswer
from tasks.why.lane_replay import LaneReplay
from tasks.why.question import Question
from tests.support.events import TIME_MS, trade
from tests.support.strategies import BAD, Echo, Grumpy, TradeTotals, Warming, bound

FILE = ConfigurationAnswer("c1", "file")


def events(count: int, last: float = 1.0) -> list[AnyEvent]:
    """Return trades ten seconds apart, the last one of another quantity."""
    quantities = [1.0] * (count - 1) + [last]
    return [
        trade(quantity=quantity, id=at, seq=at, time_ms=TIME_MS + at * 10_000)
        for at, quantity in enumerate(quantities, 1)
    ]


def asked(strategy: BoundStrategy | None, seen: list[AnyEvent], packed: bytes = b"", status: Any = "sent") -> Answer:
    """Return the answer about the last event."""
    replay = LaneReplay("p", lambda _: strategy)
    for event in seen[:-1]:
        replay.take(event, "c1")
    question = Question.of(packed, status) if packed else Question.about("none", "echo", seen[-1], "c1")
    return answer.of_decision(question, replay.decide(seen[-1], "c1"), "", FILE, ["a note"])


def signal(strategy: BoundStrategy, seen: list[AnyEvent]) -> bytes:
    ledger = MemoryLedger("s")
    ledger.run("p", seen, [strategy], "c1")
    return ledger.signals[-1]


def test_an_equal_signal_has_the_gates_numbers_of_before_the_event():
    [strategy] = bound(Echo.create({"min_signal_interval_s": 5}))
    found = asked(strategy, events(3), signal(strategy, events(3)))
    assert (found.verdict, found.notes, found.differences) == ("equal", ["a note"], [])
    assert found.decision is not None
    gate = found.decision.gate
    assert (gate.said, gate.since_last_signal_s, gate.signals_this_hour) == ("passed", 10.0, 2)
    assert gate.rules["min_signal_interval_s"] == 5


def test_a_sent_signal_that_the_gate_holds_back_now_differs():
    [strategy] = bound(Echo.create({}))
    held = BoundStrategy.of(strategy.strategy, Gate(min_confidence=0.9))
    found = asked(held, events(2), signal(strategy, events(2)))
    assert found.verdict == "differs"
    assert [(each.field, each.stored, each.derived) for each in found.differences] == [("gate", "passed", "confidence")]


@pytest.mark.parametrize(
    ("strategy", "seen", "why"),
    [
        (None, events(1), "under configuration c1 the strategy is off, or not in its pool"),
        (bound(Warming.create({}))[0], events(2), "this is event 2 of the 3 that it needs before its first signal"),
        (bound(Grumpy.create({}))[0], events(2, last=BAD), "the strategy raised on the event"),
        (bound(Echo.create({}))[0], events(2), "the strategy gives no signal with this id on the event"),
    ],
)
def test_that_there_is_no_signal_is_told_with_the_reason(strategy, seen, why):
    found = asked(strategy, seen)
    assert (found.verdict, found.signal) == ("no_signal", None)
    assert found.notes[-1].endswith(why)
    assert found.decision is not None
    assert found.decision.gate.said == "not_asked"


def test_what_a_strategy_raises_is_told():
    found = asked(bound(Grumpy.create({}))[0], events(2, last=BAD))
    assert found.decision is not None
    assert found.decision.errors == ["ValueError: a bad trade"]


class Telling(Echo):
    """Explains its total, and raises on bad trades when it is to explain."""

    name = "telling"

    def explain(self, event: AnyEvent, state: TradeTotals) -> Mapping[str, float]:
        if event.quantity == BAD:  # type: ignore[union-attr]  # its pool has trades only
            raise KeyError("total")
        state.ids.clear()
        return {"before": state.total, "before_above": 1.5, "count": 2}


def test_explained_numbers_come_first_and_indicators_follow():
    [strategy] = bound(Telling.create({}))
    found = asked(strategy, events(3), signal(strategy, events(3)))
    assert found.decision is not None
    assert [msgspec.structs.astuple(each) for each in found.decision.numbers] == [
        ("before", 2.0, ">", 1.5, True),
        ("count", 2.0, "", None, None),
        ("total", 3.0, "", None, None),
    ]
    # What it did to its copy is nobody's business.
    assert found.decision.state_before["ids"] == [1, 2]
    assert found.verdict == "equal"


def test_an_explanation_that_raises_is_told_and_harms_nothing():
    [strategy] = bound(Telling.create({}))
    seen = events(3, last=BAD)
    found = asked(strategy, seen, signal(strategy, seen))
    assert found.decision is not None
    assert found.decision.errors == ["explain raised KeyError: 'total'"]
    assert [each.name for each in found.decision.numbers] == ["total"]
    assert found.verdict == "equal"


def test_without_a_decision_what_is_stored_is_told():
    [strategy] = bound(Echo.create({}))
    packed = signal(strategy, events(1))
    found = answer.without_decision(Question.of(packed, "sent"), "gone", "here", FILE, ["why"])
    assert (found.verdict, bytes(found.signal or b""), found.decision, found.notes) == ("gone", packed, None, ["why"])
