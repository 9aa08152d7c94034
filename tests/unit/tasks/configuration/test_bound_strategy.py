"""What a configuration says of a strategy stays beside the author's object, never on it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tasks import configuration, engine
from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.configuration.gate import OPEN, Gate
from tasks.strategy import Strategy
from tests.support.events import TIME_MS, trade
from tests.support.strategies import Echo

HERE = "tests.support.strategies"


class Gated(Echo):
    """Its author has a gate, and overrides, too."""

    name = "gated"
    gate = "the author's"
    overrides = ("the author's",)


def configured(name: str) -> Configuration:
    """Return a configuration that has something to say of the strategy: a gate, and parameters for a symbol."""
    own = {"gate": {"paused": True}, "symbols": {"ETHUSDT": {"notional": 7}}}
    return configuration.check({"pools": {"trade": {"kinds": ["trade"], "strategies": {name: own}}}}, "it")


def signals(strategies: Sequence[BoundStrategy]) -> int:
    return len(engine.BatchRun("trade", "s", strategies, "c1", {}).finish([trade()]).signals)


def test_a_strategy_with_nothing_configured_has_an_open_gate():
    echo = Echo.create({})
    bound = BoundStrategy.of(echo)
    assert (bound.name, bound.strategy, bound.gate, dict(bound.overrides)) == ("echo", echo, OPEN, {})


def test_one_object_bound_twice_goes_through_two_gates():
    echo = Echo.create({})
    paused, free = BoundStrategy.of(echo, Gate(paused=True)), BoundStrategy.of(echo)
    assert [signals([each]) for each in (free, paused, free, paused)] == [1, 0, 1, 0]


def test_one_object_bound_twice_has_overrides_of_its_own_in_each():
    echo, other = Echo.create({}), Echo.create({})
    one, two = BoundStrategy.of(echo, overrides={"ETHUSDT": other}), BoundStrategy.of(echo)
    assert [one.for_symbol("ETHUSDT"), one.for_symbol("BTCUSDT"), two.for_symbol("ETHUSDT")] == [other, echo, echo]


def test_the_authors_classes_and_objects_carry_nothing_of_it():
    names = set(vars(Strategy)), set(vars(Echo))
    [bound] = registry.build(configured(f"{HERE}:Echo"))["trade"]
    assert [vars(each).keys() for each in (bound.strategy, bound.for_symbol("ETHUSDT"))] == [{"params"}, {"params"}]
    assert (set(vars(Strategy)), set(vars(Echo))) == names


def test_an_author_may_use_the_same_words_for_something_else():
    [bound] = registry.build(configured(f"{__name__}:Gated"))["trade"]
    assert bound.gate == Gate(paused=True)
    authors: list[Any] = [bound.strategy, bound.for_symbol("ETHUSDT")]
    assert [(each.gate, each.overrides) for each in authors] == [("the author's", ("the author's",))] * 2
    assert signals([bound]) == 0


def test_it_never_changes():
    mine = {"ETHUSDT": Echo.create({})}
    bound = BoundStrategy.of(Echo.create({}), overrides=mine)
    mine.clear()
    assert list(bound.overrides) == ["ETHUSDT"]
    with pytest.raises(AttributeError):
        bound.gate = Gate(paused=True)  # type: ignore[misc]  # what is tested
    with pytest.raises(TypeError):
        bound.overrides["BTCUSDT"] = Echo.create({})  # type: ignore[index]  # as above


def test_each_is_equal_to_itself_only():
    echo = Echo.create({})
    assert len({BoundStrategy.of(echo), BoundStrategy.of(echo)}) == 2


def test_only_a_symbol_with_parameters_of_its_own_runs_under_them():
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
