"""The strategy of a signal, in the configurations that its lane ran under."""

from collections.abc import Iterator

import msgspec

from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.errors import LedgerError
from tasks.protocol.routing import Pool
from tasks.why.lane import StrategyLane
from tasks.why.question import SignalHead


def strategies(configuration: Configuration) -> Iterator[tuple[Pool, str]]:
    """Yield each strategy by the name that its signals carry, with its pool."""
    for pool in configuration.routes():
        for name in configuration.pools[pool.name].strategies:
            yield pool, registry.carried_name(name)


def lane_of(configuration: Configuration, head: SignalHead) -> StrategyLane:
    """Return the lane in which a signal's event met its strategy. Raises LedgerError: there is none."""
    of = head.trigger
    for pool, strategy in strategies(configuration):
        if strategy == head.strategy and pool.wants(of.symbol, of.kind):
            return StrategyLane.of(pool, of.venue, of.symbol)
    raise LedgerError(
        f"configuration {configuration.version} has no pool in which {head.strategy} sees {of.kind} of {of.symbol}"
    )


class ConfiguredStrategy:
    """Returns a strategy as it is under each version of the configuration."""

    def __init__(self, pool: str, strategy: str, configurations: dict[str, Configuration]) -> None:
        """Take the strategy by the name that its signals carry."""
        self._pool, self._strategy, self._configurations = pool, strategy, configurations
        self._bound: dict[str, BoundStrategy | None] = {}

    def __call__(self, version: str) -> BoundStrategy | None:
        """Return the strategy; None: it is off, or not there. Raises LedgerError: there is no such version."""
        if version not in self._bound:
            self._bound[version] = self._bind(version)
        return self._bound[version]

    def _bind(self, version: str) -> BoundStrategy | None:
        if version not in self._configurations:
            raise LedgerError(f"the ledger holds no configuration {version}, under which a part of the lane ran")
        alone = _alone(self._configurations[version], self._pool, self._strategy)
        bound = next(iter(registry.running(alone)[self._pool]), None) if alone else None
        # No signal depends on the account.
        return msgspec.structs.replace(bound, paper=None) if bound else None


def _alone(configuration: Configuration, pool: str, strategy: str) -> Configuration | None:
    """Return the configuration with one strategy: others need not be imported; None: it has none of this name."""
    chosen = configuration.pools.get(pool)
    named = (
        {name: each for name, each in chosen.strategies.items() if registry.carried_name(name) == strategy}
        if chosen
        else {}
    )
    if chosen is None or not named:
        return None
    return configuration.model_copy(update={"pools": {pool: chosen.model_copy(update={"strategies": named})}})
