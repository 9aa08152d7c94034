"""Strategies by the names that people use."""

from tasks.configuration import Configuration, named_strategies


def test_strategies_are_told_by_the_name_of_their_signals_each_once():
    strategies: dict[str, object] = {"tests.support.stacks.strategies:Raising": {}, "iceberg": {}}
    pools = {name: {"kinds": ["depth", "trade"], "strategies": strategies} for name in ("one", "two")}
    assert named_strategies.strategy_names(Configuration.model_validate({"pools": pools})) == ["iceberg", "raising"]
