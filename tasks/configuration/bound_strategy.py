"""A strategy as a configuration runs it: the author's object, and its settings in the configuration. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

import msgspec

from tasks.configuration.gate import OPEN, Gate
from tasks.strategy import AnyStrategy

NO_OVERRIDES: Mapping[str, AnyStrategy] = MappingProxyType({})


class BoundStrategy(msgspec.Struct, frozen=True, eq=False):
    """One strategy of a pool. Each is equal to itself only, as strategies are."""

    #: As signals, states and metrics carry it. Kept here because the engine asks for it at every event.
    name: str
    strategy: AnyStrategy
    #: What the signals have to pass, whatever their symbol.
    gate: Gate
    #: The same strategy with other parameters, by symbol.
    overrides: Mapping[str, AnyStrategy]

    @classmethod
    def of(cls, strategy: AnyStrategy, gate: Gate = OPEN, overrides: Mapping[str, AnyStrategy] = NO_OVERRIDES) -> Self:
        """Return `strategy` behind `gate`, and with parameters of their own for the symbols of `overrides`."""
        return cls(strategy.name, strategy, gate, MappingProxyType(dict(overrides)))

    def for_symbol(self, symbol: str) -> AnyStrategy:
        """Return the strategy with the parameters of a symbol."""
        return self.overrides.get(symbol, self.strategy)
