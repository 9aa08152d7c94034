from typing import Any

import pytest
import redis

from tasks.configuration import Configuration
from tasks.errors import LedgerError
from tasks.ledger import LedgerKeys
from tasks.ledger.known_configurations import CONFIGURATIONS_KEPT
from tasks.worker.strategy_cache import FAILED_RESTORES_S, RESTORE_S, StrategyCache


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
        self.keys = LedgerKeys("rs")
        self.known = self
        #: What it is told to remember, and how often to write back.
        self.remembered: list[str] = []
        self.restored = 0

    def remember(self, configuration: Configuration) -> None:
        self.remembered.append(configuration.version)

    def restore(self) -> None:
        self.restored += 1
        raise redis.ResponseError("NOPERM this user has no permissions")

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
    with pytest.raises(LedgerError, match=r"lost the configuration abc \(rs:configurations\)"):
        StrategyCache().find(shelf, "abc", "trade")


def test_a_worker_writes_back_now_and_then_what_it_knows_if_it_may():
    one, now_s = configuration(1), [100.0]
    shelf: Any = Shelf(one)
    strategies = StrategyCache(now_s=lambda: now_s[0])
    again_s = 2 * RESTORE_S + FAILED_RESTORES_S
    for moment_s, restored in ((0, 0), (RESTORE_S, 1), (RESTORE_S + 1, 1), (2 * RESTORE_S, 1), (again_s, 2)):
        now_s[0] = 100.0 + moment_s
        assert strategies.find(shelf, one.version, "trade")
        assert shelf.restored == restored
    assert shelf.remembered == [one.version]
