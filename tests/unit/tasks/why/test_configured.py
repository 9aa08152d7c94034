"""The strategy of a signal under each configuration, also where a promoted shadow emits."""

from pathlib import Path
from typing import Any

import pytest

from tasks.backtest import Backtest
from tasks.configuration import Configuration
from tasks.errors import LedgerError
from tasks.history import recordings
from tasks.why.configured import ConfiguredStrategy, emitter_of, emitters
from tasks.why.question import Question
from tasks.why.recording_frames import read
from tasks.why.signal_replay import SignalReplay
from tasks.why.timeline import Timeline
from tests.support.market import SKEW, write_market

#: The shadow needs another ratio, so its signals can be told apart.
SHADOWS = {"orderbook_skew": {"of": "orderbook_skew", **SKEW, "buy_ratio": 5.0}}


def configuration(shadow: dict[str, Any] | None = None, **strategies: dict[str, Any]) -> Configuration:
    depth: dict[str, Any] = {"kinds": ["depth"], "strategies": {"orderbook_skew": SKEW, **strategies}}
    return Configuration.model_validate({"pools": {"depth": depth | ({"shadow": shadow} if shadow else {})}})


PROMOTED = configuration({"orderbook_skew": SHADOWS["orderbook_skew"] | {"emits": True}})


@pytest.fixture
def market(tmp_path: Path) -> Path:
    return write_market(tmp_path / "market.jsonl")


def signals(market: Path, chosen: Configuration) -> list[Question]:
    test = Backtest(chosen)
    test.work(recordings.read(market))
    return [Question.of(packed, "sent") for packed in test.ledger.signals]


@pytest.mark.parametrize("chosen", [configuration(), configuration(SHADOWS), PROMOTED])
def test_signals_are_those_of_the_version_that_emits(market, chosen):
    questions = signals(market, chosen)
    assert len(questions) == 6
    for question in questions:
        emitter = emitter_of(chosen, question.head)
        lane, strategy_of = emitter.lane(question.head), ConfiguredStrategy(emitter, {chosen.version: chosen})
        replay = SignalReplay(question, lane, strategy_of, Timeline(chosen.version, lane))
        assert any(map(replay.take, read([market], replay.lane.needs)))
        assert replay.decision is not None
        assert replay.decision.outcome.signals == [question.packed]


def test_a_promoted_shadow_is_the_emitter_under_its_own_name():
    assert [each.name for each in emitters(configuration(SHADOWS))] == ["orderbook_skew"]
    [emitter] = emitters(PROMOTED)
    assert (emitter.name, emitter.signal_name) == ("shadow~orderbook_skew", "orderbook_skew")


def test_a_shadow_is_followed_back_to_when_it_did_not_emit():
    """Its state is of all that it has seen, promoted or not."""
    [emitter] = emitters(PROMOTED)
    before, after = (
        ConfiguredStrategy(emitter, {"c1": configuration(SHADOWS), "c2": PROMOTED})(version) for version in ("c1", "c2")
    )
    assert before is not None
    assert after is not None
    assert before.name == after.name == "shadow~orderbook_skew"
    assert before.strategy.params.model_dump()["buy_ratio"] == 5.0


def test_a_strategy_that_is_off_or_not_there_is_none():
    [emitter] = emitters(configuration())
    off = configuration(orderbook_skew=SKEW | {"gate": {"off": True}})
    other = Configuration.model_validate(
        {"pools": {"depth": {"kinds": ["depth"], "strategies": {"depth_pressure": {}}}}}
    )
    elsewhere = Configuration.model_validate(
        {"pools": {"books": {"kinds": ["depth"], "strategies": {"orderbook_skew": {}}}}}
    )
    found = ConfiguredStrategy(emitter, {"off": off, "other": other, "elsewhere": elsewhere})
    assert [found(version) for version in ("off", "other", "elsewhere")] == [None, None, None]


def test_a_version_that_is_lost_is_one_line():
    [emitter] = emitters(configuration())
    with pytest.raises(LedgerError, match="the ledger holds no configuration c9, under which"):
        ConfiguredStrategy(emitter, {})("c9")


def test_other_strategies_need_not_be_there():
    chosen = configuration(**{"gone:Boom": {}})
    emitter = next(each for each in emitters(chosen) if each.name == "orderbook_skew")
    assert ConfiguredStrategy(emitter, {"c1": chosen})("c1") is not None
