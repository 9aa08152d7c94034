"""Strategies by the names that people use."""

from tasks.configuration import Configuration, named_strategies


def test_strategies_are_told_by_the_name_of_their_signals_each_once():
    strategies: dict[str, object] = {"tests.support.stacks.strategies:Raising": {}, "iceberg": {}}
    pools = {name: {"kinds": ["depth", "trade"], "strategies": strategies} for name in ("one", "two")}
    assert [*named_strategies.strategy_gates(Configuration.model_validate({"pools": pools}))] == ["iceberg", "raising"]


def test_the_symbols_that_are_chosen_may_be_typed_in_lower_case():
    pools = {
        "some": {"kinds": ["trade"], "symbols": ["BTCUSDT", "a.b", "X"], "strategies": {"trade_momentum": {}}},
        "every": {"kinds": ["depth"], "strategies": {"iceberg": {}}},
    }
    chosen = named_strategies.only(Configuration.model_validate({"pools": pools}), ["btcusdt", "a.b"], [])
    assert chosen.pools["some"].symbols == {"BTCUSDT", "a.b"}
    assert chosen.pools["every"].symbols == {"BTCUSDT", "btcusdt", "a.b", "A.B"}
