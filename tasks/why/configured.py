"""The strategy of a signal, in the configurations that its lane ran under."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.configuration.model import SHADOW
from tasks.errors import LedgerError
from tasks.protocol.routing import Pool
from tasks.why.lane import StrategyLane
from tasks.why.question import SignalHead


class Emitter(NamedTuple):
    """A strategy, or a shadow that was promoted: its signals go out."""

    pool: Pool
    #: As its states and dead letters carry it.
    name: str
    #: As its signals carry it.
    signal_name: str

    def lane(self, head: SignalHead) -> StrategyLane:
        """Return the lane in which it met the event of a signal."""
        return StrategyLane.of(self.pool, head.trigger.venue, head.trigger.symbol)


def emitters(configuration: Configuration) -> Iterator[Emitter]:
    """Yield everything whose signals go out."""
    for pool in configuration.routes():
        chosen = configuration.pools[pool.name]
        for version in filter(chosen.emits, chosen.versions()):
            name = registry.run_name(version) or version
            yield Emitter(pool, name, name.removeprefix(SHADOW))


def emitter_of(configuration: Configuration, head: SignalHead) -> Emitter:
    """Return the emitter of a signal. Raises LedgerError: there is none."""
    of = head.trigger
    for each in emitters(configuration):
        if each.signal_name == head.strategy and each.pool.wants(of.symbol, of.kind):
            return each
    raise LedgerError(
        f"configuration {configuration.version} has no pool in which {head.strategy} sees {of.kind} of {of.symbol}"
    )


class ConfiguredStrategy:
    """Returns an emitter as it is under each version of the configuration."""

    def __init__(self, emitter: Emitter, configurations: dict[str, Configuration]) -> None:
        """Take what stands under the emitter's name, whether it emitted then or not: its state is the same."""
        self._emitter, self._configurations = emitter, configurations
        self._bound: dict[str, BoundStrategy | None] = {}

    def __call__(self, version: str) -> BoundStrategy | None:
        """Return the strategy; None: it is off, or not there. Raises LedgerError: there is no such version."""
        if version not in self._bound:
            self._bound[version] = self._bind(version)
        return self._bound[version]

    def _bind(self, version: str) -> BoundStrategy | None:
        if version not in self._configurations:
            raise LedgerError(f"the ledger holds no configuration {version}, under which a part of the lane ran")
        alone = _alone(self._configurations[version], self._emitter)
        found = registry.running(alone)[self._emitter.pool.name] if alone else ()
        bound = next((each for each in found if each.name == self._emitter.name), None)
        # No signal depends on the account.
        return msgspec.structs.replace(bound, paper=None, emits=True) if bound else None


def _alone(configuration: Configuration, emitter: Emitter) -> Configuration | None:
    """Return the configuration with one emitter: others need not be imported; None: it is not there."""
    pool = configuration.pools.get(emitter.pool.name)
    versions = pool.versions() if pool else {}
    version = next((each for each in versions if (registry.run_name(each) or each) == emitter.name), None)
    if pool is None or version is None:
        return None
    shadow = {name: each for name, each in pool.shadow.items() if version == f"{SHADOW}{name}"}
    kept = {each.of for each in shadow.values()} or {version}
    strategies = {name: each for name, each in pool.strategies.items() if name in kept}
    narrowed = pool.model_copy(update={"strategies": strategies, "shadow": shadow})
    return configuration.model_copy(update={"pools": {emitter.pool.name: narrowed}})
