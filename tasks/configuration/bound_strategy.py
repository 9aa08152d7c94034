"""A strategy as a configuration runs it: the author's object, and its settings in the configuration. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

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

    #: As states, paper accounts and metrics carry it: that of its class, behind a prefix for a shadow. Kept here because
    #: the engine asks for it at every event.
    name: str
    strategy: AnyStrategy
    #: What the signals have to pass, whatever their symbol.
    gate: Gate
    #: The same strategy with other parameters, by symbol.
    overrides: Mapping[str, AnyStrategy]
    #: None: no account.
    paper: PaperBinding | None = None
    #: Whether its signals go out; those of a shadow, or of a strategy whose shadow was promoted, are kept apart.
    emits: bool = True
    #: The name of the strategy that it is a second version of; empty: it is none.
    shadows: str = ""
    #: By symbol, as `overrides`, and under the empty one for all others; none where nobody asked.
    revisions: Mapping[str, str] = MappingProxyType({})

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

    def as_shadow(self, prefix: str, of: str) -> Self:
        """Return it as the second version of the strategy named `of`; `prefix` goes before its own name."""
        return msgspec.structs.replace(self, name=f"{prefix}{self.name}", shadows=of)

    @property
    def key(self) -> Literal["symbol", "all"]:
        """What its states are kept for: a symbol each, or all of them."""
        return self.strategy.key

    @property
    def signal_name(self) -> str:
        """The name that its signals carry: that of its class, so that a shadow's signals could be its original's."""
        return self.strategy.name

    def revision(self, symbol: str) -> str:
        """Return the revision that runs for a symbol; nothing where it is not known."""
        return self.revisions.get(symbol) or ("" if symbol in self.overrides else self.revisions.get("", ""))

    def for_symbol(self, symbol: str) -> AnyStrategy:
        """Return the strategy with the parameters of a symbol."""
        return self.overrides.get(symbol, self.strategy)
