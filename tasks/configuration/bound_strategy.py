"""A strategy as a configuration runs it: the author's object, and its settings in the configuration. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

import msgspec

from tasks.configuration.gate import OPEN, Gate
from tasks.events import Kind
from tasks.paper import PaperTerms
from tasks.strategy import AnyStrategy

NO_OVERRIDES: Mapping[str, AnyStrategy] = MappingProxyType({})


class PaperBinding(msgspec.Struct, frozen=True, eq=False):
    """The paper account of a strategy, as a configuration sets it up."""

    #: Events of this kind fill its orders; None: the pool takes none that tells a price.
    price_kind: Kind | None
    #: None: no account.
    terms: PaperTerms | None
    #: The same by symbol, where it differs.
    overrides: Mapping[str, PaperTerms | None]

    @property
    def is_open(self) -> bool:
        """Whether there is an account, at least for some symbol."""
        return self.terms is not None or any(self.overrides.values())

    def for_symbol(self, symbol: str) -> PaperTerms | None:
        """Return the terms of a symbol; None: no account."""
        return self.overrides.get(symbol, self.terms)


NO_ACCOUNT = PaperBinding(None, None, MappingProxyType({}))


class BoundStrategy(msgspec.Struct, frozen=True, eq=False):
    """One strategy of a pool. Each is equal to itself only, as strategies are."""

    #: As signals, states and metrics carry it. Kept here because the engine asks for it at every event.
    name: str
    strategy: AnyStrategy
    #: What the signals have to pass, whatever their symbol.
    gate: Gate
    #: The same strategy with other parameters, by symbol.
    overrides: Mapping[str, AnyStrategy]
    #: None: no account.
    paper: PaperBinding | None = None

    @classmethod
    def of(
        cls,
        strategy: AnyStrategy,
        gate: Gate = OPEN,
        overrides: Mapping[str, AnyStrategy] = NO_OVERRIDES,
        paper: PaperBinding | None = None,
    ) -> Self:
        """Return `strategy` behind `gate`, with parameters of their own for the symbols of `overrides`."""
        return cls(strategy.name, strategy, gate, MappingProxyType(dict(overrides)), paper)

    def for_symbol(self, symbol: str) -> AnyStrategy:
        """Return the strategy with the parameters of a symbol."""
        return self.overrides.get(symbol, self.strategy)
