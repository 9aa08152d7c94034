"""The answer to why a signal was sent, as one object: JSON takes it as it is, people get it in sections. Pure."""

from typing import Any, Literal

import msgspec

from tasks.configuration.gate import Gate
from tasks.engine.gate_history import HOUR_MS, GateHistory
from tasks.engine.strategy_run import SavedState
from tasks.events import event_facts
from tasks.protocol import dead_letters
from tasks.strategy import AnyStrategy
from tasks.why import comparison, lane_replay, numbers
from tasks.why.comparison import DerivedSignal, Difference
from tasks.why.lane_replay import Decision
from tasks.why.numbers import DecisionNumber
from tasks.why.question import Question, Status

#: `equal`: the stored bytes came out again. `derived`: there is nothing stored to compare with. `differs`: in the fields
#: or in what the gate said. `no_signal`: none came out. `gone`: the source lacks the event. `no_source`: none was asked.
Verdict = Literal["equal", "derived", "differs", "no_signal", "gone", "no_source"]
GOOD: frozenset[Verdict] = frozenset({"equal", "derived"})
_WORDS: dict[Verdict, str] = {
    "equal": "the same signal came out, byte for byte",
    "derived": "this signal comes out; there is none stored to compare it with",
    "differs": "ANOTHER SIGNAL CAME OUT",
    "no_signal": "NO SUCH SIGNAL CAME OUT",
    "gone": "its event is gone",
    "no_source": "not run again, because no source of its events was given",
}


class RecentEvent(msgspec.Struct):
    """An event that changed the state."""

    event: dict[str, Any]
    #: By field: before, after.
    changed: dict[str, tuple[Any, Any]]


class GateAnswer(msgspec.Struct):
    """What the gate said, with the rules that it goes by and what it counted before the event."""

    #: `passed`, `held`, or `not_asked` where there was no signal.
    said: Literal["passed", "held", "not_asked"]
    reason: str
    rules: dict[str, Any]
    #: In event time; None: there was no signal of this symbol and action before.
    since_last_signal_s: float | None
    signals_this_hour: int


class DecisionAnswer(msgspec.Struct):
    """The decision on the event in the replay."""

    event: dict[str, Any]
    config_version: str
    #: Events that the state had seen before, and that signals need.
    seen: int
    warmup: int
    state_before: dict[str, Any]
    state_after: dict[str, Any]
    recent: list[RecentEvent]
    numbers: list[DecisionNumber]
    parameters: dict[str, Any]
    gate: GateAnswer
    #: The signal that came out.
    derived: msgspec.Raw | None
    #: What the strategy, its state or its `explain` raised.
    errors: list[str]


class ConfigurationAnswer(msgspec.Struct):
    """The configuration that the signal ran under, and the change that put it in force."""

    version: str
    #: `ledger`, or `file`: the strategies file of today, because no ledger knows it.
    known_from: Literal["ledger", "file"]
    author: str = ""
    reason: str = ""
    at_ms: int | None = None
    #: What was set at run time, as `strategies get` words it.
    at_run_time: list[str] = []


class Answer(msgspec.Struct):
    """Everything that is known."""

    id: str
    verdict: Verdict
    #: The verdict in words.
    says: str
    status: Status
    #: Why the gate held it back, as it is stored; empty: it did not.
    held: str
    #: As it is stored, or else as it was derived; None: neither.
    signal: msgspec.Raw | None
    source: str
    configuration: ConfigurationAnswer
    decision: DecisionAnswer | None
    differences: list[Difference]
    #: What may make the outcome differ, or is missing; and of a signal without an answer, why.
    notes: list[str]


def of_decision(
    question: Question, decision: Decision, source: str, configuration: ConfigurationAnswer, notes: list[str]
) -> Answer:
    """Return the answer where the event was found."""
    found = comparison.find(decision.outcome, question.head.id)
    verdict, differences = _compare(question, found)
    packed = question.packed or (found.packed if found else b"")
    return Answer(
        question.head.id,
        verdict,
        _WORDS[verdict],
        question.status,
        question.held,
        msgspec.Raw(packed) if packed else None,
        source,
        configuration,
        _decision(decision, found, packed),
        differences,
        [*notes, _why_none(decision)] if found is None else notes,
    )


def without_decision(
    question: Question, verdict: Verdict, source: str, configuration: ConfigurationAnswer, notes: list[str]
) -> Answer:
    """Return the answer where the event was not found, or not looked for: what is stored is still known."""
    packed = msgspec.Raw(question.packed) if question.packed else None
    head = question.head.id
    says, status, held = _WORDS[verdict], question.status, question.held
    return Answer(head, verdict, says, status, held, packed, source, configuration, None, [], notes)


def _compare(question: Question, found: DerivedSignal | None) -> tuple[Verdict, list[Difference]]:
    if found is None:
        return "no_signal", []
    if not question.packed:
        return "derived", []
    differences = comparison.differences(question.packed, found.packed)
    # A file of signals does not tell of the gate, but what is in it has passed.
    if found.held != question.held:
        differences.append(Difference("gate", question.held or "passed", found.held or "passed"))
    return ("differs" if differences else "equal"), differences


def _why_none(decision: Decision) -> str:
    """Return why there is no signal."""
    if decision.bound is None:
        return f"under configuration {decision.version} the strategy is off, or not in its pool"
    seen = (decision.before.seen if decision.before else 0) + 1
    warmup = decision.bound.for_symbol(decision.event.symbol).warmup
    if decision.outcome.letters:
        return "the strategy raised on the event"
    if seen <= warmup:
        return f"the state warms up: this is event {seen:,} of the {warmup:,} that it needs before its first signal"
    return "the strategy gives no signal with this id on the event"


def _decision(decision: Decision, found: DerivedSignal | None, packed: bytes) -> DecisionAnswer:
    bound, errors = decision.bound, _letters(decision)
    strategy = bound.for_symbol(decision.event.symbol) if bound else None
    return DecisionAnswer(
        event_facts(decision.event),
        decision.version,
        decision.before.seen if decision.before else 0,
        strategy.warmup if strategy else 0,
        _state(decision, decision.before),
        _state(decision, decision.after),
        [RecentEvent(event_facts(step.event), step.changed) for step in decision.recent],
        _numbers(strategy, decision, packed, errors) if strategy else [],
        strategy.params.model_dump(mode="json") if strategy else {},
        _gate(decision, found, packed),
        msgspec.Raw(found.packed) if found else None,
        errors,
    )


def _letters(decision: Decision) -> list[str]:
    letters = [dead_letters.unpack(packed) for packed in decision.outcome.letters]
    return [letter.detail.strip().rpartition("\n")[2] for letter in letters]


def _state(decision: Decision, saved: SavedState | None) -> dict[str, Any]:
    if decision.bound is None:
        return {}
    state = bytes(saved.state) if saved else msgspec.msgpack.encode(decision.bound.strategy.state_type())
    return lane_replay.fields(decision.bound, state)


def _numbers(strategy: AnyStrategy, decision: Decision, packed: bytes, errors: list[str]) -> list[DecisionNumber]:
    """Return the numbers that the strategy explains, and those of the signal that it does not name."""
    state = (
        msgspec.msgpack.decode(decision.before.state, type=strategy.state_type)
        if decision.before
        else strategy.state_type()
    )
    explained: dict[str, float] = {}
    try:
        explained = {name: float(value) for name, value in strategy.explain(decision.event, state).items()}
    except Exception as error:  # noqa: BLE001 an author's method may raise anything
        errors.append(f"explain raised {type(error).__name__}: {error}")
    indicators = msgspec.json.decode(packed).get("indicators", {}) if packed else {}
    return numbers.paired(explained | {name: value for name, value in indicators.items() if name not in explained})


def _gate(decision: Decision, found: DerivedSignal | None, packed: bytes) -> GateAnswer:
    gate = decision.bound.gate if decision.bound else Gate()
    passed = decision.before.passed if decision.before else GateHistory()
    said: dict[str, Any] = msgspec.json.decode(packed) if packed else {}
    symbol, time_ms = said.get("symbol", decision.event.symbol), decision.event.time_ms
    last_ms = passed.last_ms.get(f"{symbol} {said.get('action', '')}")
    hour, count = passed.hourly.get(symbol, (0, 0))
    strategy = decision.bound.for_symbol(decision.event.symbol) if decision.bound else None
    rules = gate.model_dump(include={"killed", "paused", "off", "min_confidence", "max_signals_per_hour"})
    return GateAnswer(
        "not_asked" if found is None else "held" if found.held else "passed",
        found.held if found else "",
        rules | ({"min_signal_interval_s": strategy.params.min_signal_interval_s} if strategy else {}),
        None if last_ms is None else (time_ms - last_ms) / 1000,
        count if hour == time_ms // HOUR_MS else 0,
    )
