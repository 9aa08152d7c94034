from typing import Any

import pytest

from tasks.configuration import Configuration
from tasks.errors import LedgerError
from tasks.worker.strategy_cache import (
    CONFIGURATIONS_KEPT,
    StrategyCache,
)


def configuration(interval_s: int) -> Configuration:
    gate = {"min_signal_interval_s": interval_s}
    return Configuration.model_validate(
        {"pools": {"trade": {"kinds": ["trade"], "strategies": {"trade_momentum": gate}}}}
    )


class Shelf:
    """A ledger's configurations, and how often one was asked for."""

    def __init__(self, *held: Configuration) -> None:
        self._held = {each.version: each.canonical() for each in held}
        self.asked: list[str] = []

    def configuration(self, version: str) -> bytes | None:
        self.asked.append(version)
        return self._held.get(version)


def test_a_configuration_is_fetched_once_and_the_oldest_are_forgotten():
    many = [configuration(seconds) for seconds in range(1, CONFIGURATIONS_KEPT + 2)]
    shelf: Any = Shelf(*many)
    strategies = StrategyCache()
    for each in [*many, *many[1:]]:
        (found,) = strategies.find(shelf, each.version, "trade")
        assert found.name == "trade_momentum"
    assert shelf.asked == [each.version for each in many]
    strategies.find(shelf, many[0].version, "trade")
    assert shelf.asked[-1] == many[0].version


def test_a_pool_missing_from_the_configuration_is_an_error_that_names_it():
    one = configuration(1)
    shelf: Any = Shelf(one)
    with pytest.raises(LedgerError, match="no pool 'other'"):
        StrategyCache().find(shelf, one.version, "other")


def test_a_configuration_missing_from_the_ledger_is_an_error_that_names_it():
    shelf: Any = Shelf()
    with pytest.raises(LedgerError, match="no configuration abc"):
        StrategyCache().find(shelf, "abc", "trade")
