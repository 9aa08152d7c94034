"""Every signal of the recordings comes out again, byte for byte, one strategy and one lane at a time."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tasks import configuration
from tasks.backtest import Backtest
from tasks.configuration import Configuration
from tasks.events import AnyEvent, Event
from tasks.frames.plausibility import FrameReader
from tasks.history import recordings
from tasks.settings import Settings
from tasks.why import answer, configured
from tasks.why.answer import Answer, ConfigurationAnswer
from tasks.why.configured import ConfiguredStrategy, Emitter
from tasks.why.lane import StrategyLane
from tasks.why.lane_replay import LaneReplay
from tasks.why.question import Question


class BacktestedRecording(NamedTuple):
    chosen: Configuration
    events: list[AnyEvent]
    questions: list[Question]


@pytest.fixture(scope="module")
def run(each_recording: Path) -> BacktestedRecording:
    """A backtest's signals, and the events of the same recording."""
    chosen = configuration.read(Settings().strategies_file)
    lines = list(recordings.read(each_recording))
    test, reader = Backtest(chosen), FrameReader()
    test.work(lines)
    read = (reader.read(line.raw, line.stream, seq, line.received_at_ns) for seq, line in enumerate(lines, start=1))
    return BacktestedRecording(
        chosen,
        [each for each in read if isinstance(each, Event)],
        [Question.of(packed, "sent") for packed in test.ledger.signals],
    )


def by_lane(run: BacktestedRecording) -> dict[tuple[Emitter, StrategyLane], list[Question]]:
    """Return the questions of each strategy and lane."""
    found = defaultdict(list)
    for question in run.questions:
        emitter = configured.emitter_of(run.chosen, question.head)
        found[emitter, emitter.lane(question.head)].append(question)
    return found


def unmet(answered: Answer) -> list[str]:
    """Return the numbers of the decision that do not pass their threshold."""
    assert answered.decision is not None
    return [each.name for each in answered.decision.numbers if each.met is False]


def check(question: Question, answered: Answer) -> None:
    """The same bytes came out, and the numbers that explain them are the signal's, and pass their thresholds."""
    assert answered.verdict == "equal", answered.differences
    assert answered.decision is not None
    assert answered.decision.gate.said == "passed"
    assert answered.decision.errors == []
    indicators = msgspec.json.decode(question.packed)["indicators"]
    numbers = {each.name: each.value for each in answered.decision.numbers}
    assert {name: numbers[name] for name in indicators} == indicators
    # Of an iceberg's two kinds of evidence one is enough.
    allowed = [{"refills"}, {"steady_s"}, set()] if question.head.strategy == "iceberg" else [set()]
    assert set(unmet(answered)) in allowed
    assert any(each.met for each in answered.decision.numbers)


def test_every_signal_comes_out_again_byte_for_byte(run: BacktestedRecording):
    derived, known = 0, ConfigurationAnswer(run.chosen.version, "file")
    for (emitter, lane), questions in by_lane(run).items():
        version = run.chosen.version
        replay = LaneReplay(lane.pool.name, ConfiguredStrategy(emitter, {version: run.chosen}))
        for event in filter(lane.takes, run.events):
            asked = [question for question in questions if question.is_answered_by(event)]
            if not asked:
                replay.take(event, version)
                continue
            decision = replay.decide(event, version)
            for question in asked:
                check(question, answer.of_decision(question, decision, "", known, []))
                derived += 1
    assert derived == len(run.questions) > 40
