"""What there is to configure: the strategies, where they run, their parameters with defaults and bounds."""

import inspect
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, get_origin

from pydantic.fields import FieldInfo

from tasks.configuration import aliases, registry
from tasks.configuration.model import SHADOW, Configuration
from tasks.strategy import AnyStrategy, kinds_of

_BOUNDS = ("ge", "gt", "le", "lt")


class Parameter(NamedTuple):
    """A parameter of a strategy."""

    name: str
    #: float, int, bool, str, or another type's name.
    type: str
    default: Any
    #: By pydantic's words, of `ge`, `gt`, `le` and `lt` those that there are.
    bounds: dict[str, float]
    #: None: not one of a few.
    allowed: tuple[Any, ...] | None
    description: str


class ListedStrategy(NamedTuple):
    """A strategy that can run, and where it does."""

    name: str
    #: As its signals and counts carry it.
    signal_name: str
    #: By which other systems know it; empty: it has none.
    alias: str
    pools: tuple[str, ...]
    #: Pools in which a shadow of this name runs.
    shadow_pools: tuple[str, ...]
    kinds: tuple[str, ...]
    #: The first line of its docstring.
    summary: str


def builtin_names() -> tuple[str, ...]:
    """Return the names of the strategies that come with the project."""
    return registry.builtin_names()


def configured_name(configuration: Configuration, name: str) -> str:
    """Return the name under which a strategy is configured. Raises UnknownNameError, and SettingsError for several."""
    return registry.configured_name(configuration, name)


def parameters_of(name: str) -> list[Parameter]:
    """Return the parameters of the strategy or shadow `name`. Raises SettingsError: it can't be imported."""
    return parameters(registry.find(name.removeprefix(SHADOW)))


def docstring(strategy: type[AnyStrategy]) -> str:
    """Return its own: that of `Strategy`, which Python would give for it, tells how to write one."""
    return inspect.cleandoc(strategy.__doc__ or "")


def listed(configuration: Configuration) -> Iterator[ListedStrategy]:
    """Yield the built-in strategies and those that the configuration names, sorted. Raises SettingsError."""
    pools = configuration.pools
    named = [name for pool in pools.values() for name in (*pool.strategies, *pool.shadow)]
    for name in sorted({*registry.builtin_names(), *named}):
        found = registry.find(name)
        yield ListedStrategy(
            name,
            found.name,
            aliases.by_strategy(configuration).get(name, ""),
            tuple(pool for pool, chosen in pools.items() if name in chosen.strategies),
            tuple(pool for pool, chosen in pools.items() if name in chosen.shadow),
            kinds_of(found),
            docstring(found).partition("\n")[0],
        )


def parameters(strategy: type[AnyStrategy]) -> list[Parameter]:
    """Return the parameters of a strategy, as its class lists them."""
    return [_parameter(name, field) for name, field in strategy.params_type.model_fields.items()]


def _parameter(name: str, field: FieldInfo) -> Parameter:
    bounds = {word: getattr(rule, word) for rule in field.metadata for word in _BOUNDS if hasattr(rule, word)}
    kind, allowed = field.annotation, None
    if get_origin(kind) is Literal:
        allowed = tuple(getattr(kind, "__args__", ()))
        kind = type(allowed[0])
    return Parameter(
        name, getattr(kind, "__name__", str(kind)), field.default, bounds, allowed, field.description or ""
    )


def effective(configuration: Configuration, pool: str, version: str, symbol: str = "") -> dict[str, Any]:
    """Return all parameters of a strategy or shadow of a pool, defaults too, as they are for a symbol or in general.

    Raises SettingsError: its class can't be imported.
    """
    chosen = configuration.pools[pool].versions()[version]
    defaults = {each.name: each.default for each in parameters_of(version)}
    of_symbol = chosen.symbols[symbol].params if symbol in chosen.symbols else {}
    return defaults | chosen.params | of_symbol
