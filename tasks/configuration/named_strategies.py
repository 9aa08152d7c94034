"""Strategies of a configuration by the names that people use, those of the strategies file or of signals; and changes.

The name that signals carry stands in the strategy's class, so looking it up imports the strategies (`registry`).
"""

from collections.abc import Iterable
from typing import Any

from tasks.configuration import registry
from tasks.configuration.gate import Gate
from tasks.configuration.model import SHADOW, Configuration, check
from tasks.configuration.overlay import ALL, Overlay, applied, of_strategy
from tasks.errors import SettingsError
from tasks.frames.symbols import spellings


def strategy_gates(configuration: Configuration) -> dict[str, dict[str, Gate]]:
    """Return by the name that signals carry, sorted, and by pool the gate of each strategy; of a shadow if it emits."""
    found: dict[str, dict[str, Gate]] = {}
    for pool, chosen in configuration.pools.items():
        for name in chosen.versions():
            if name in chosen.strategies or chosen.emits(name):
                carried = registry.carried_name(name.removeprefix(SHADOW))
                found.setdefault(carried, {})[pool] = configuration.gate_of(pool, name)
    return dict(sorted(found.items()))


def is_off(configuration: Configuration, pool: str, name: str) -> bool:
    """Whether a strategy of a pool is there and switched off."""
    try:
        configured = registry.configured_name(configuration, name, pool)
    except SettingsError:
        return False
    return configuration.gate_of(pool, configured).off


def error_limits(configuration: Configuration) -> dict[tuple[str, str], int]:
    """Return the most errors in a minute that are allowed, by pool and the name that the strategy's states carry."""
    gates = {
        (pool, name): configuration.gate_of(pool, name)
        for pool, chosen in configuration.pools.items()
        for name in chosen.versions()
    }
    return {
        (pool, registry.run_name(name)): gate.max_errors_per_minute
        for (pool, name), gate in gates.items()
        if gate.max_errors_per_minute is not None and not gate.off
    }


def values(
    configuration: Configuration, name: str, assigned: dict[str, Any], pool: str = "", symbol: str = ""
) -> Overlay:
    """Return what is assigned as values of a strategy of this configuration (in all its pools, or one), or of `all`.

    `gate.X` is the gate's X. With `symbol`, parameters are those of this symbol. Raises SettingsError.
    """
    if "alias" in assigned:
        raise SettingsError("an alias is set in the strategies file, which ingest reads when it starts")
    if name != ALL:
        name = registry.configured_name(configuration, name, pool)
    return of_strategy(name, assigned, pool, symbol)


def apply(
    configuration: Configuration, name: str, assigned: dict[str, Any], pool: str = "", symbol: str = ""
) -> Configuration:
    """Return the configuration with what is assigned to a strategy (in all its pools, or one), or to `all`.

    `assigned` has values by parameter, `gate.X` for the gate's X; None takes a value back to its default. With
    `symbol`, parameters are those of this symbol. The one given stays as it is. Raises SettingsError: there is no such
    strategy or name, or a value does not fit.
    """
    return applied(configuration, values(configuration, name, assigned, pool, symbol))


def only(configuration: Configuration, symbols: Iterable[str], strategies: Iterable[str]) -> Configuration:
    """Return the configuration with these symbols and strategies only, none given means all; and with their shadows.

    A shadow brings the strategy that it shadows. Raises SettingsError.
    """
    tables = configuration.tables()
    wanted_symbols = frozenset[str]().union(*map(spellings, symbols))
    wanted = {registry.configured_name(configuration, name) for name in strategies}
    for pool in tables["pools"].values():
        _keep_only(pool, wanted)
        if wanted_symbols:
            pool["symbols"] = sorted(wanted_symbols & set(pool.get("symbols", wanted_symbols)))
    tables["pools"] = {
        name: pool
        for name, pool in tables["pools"].items()
        if pool["strategies"] and (pool.get("symbols") or not wanted_symbols)
    }
    return check(tables, "the configuration")


def _keep_only(pool: dict[str, Any], wanted: set[str]) -> None:
    """Take the other strategies and shadows out of a pool's table, if any are named."""
    shadows = pool.get("shadow", {})
    named = {name for name in shadows if f"{SHADOW}{name}" in wanted}
    originals = wanted | {shadows[name]["of"] for name in named}
    pool["strategies"] = {name: it for name, it in pool["strategies"].items() if not wanted or name in originals}
    pool["shadow"] = {name: it for name, it in shadows.items() if not wanted or name in named or it["of"] in wanted}


def narrowed(
    configuration: Configuration,
    symbols: Iterable[str],
    strategies: Iterable[str],
    changes: Iterable[tuple[str, dict[str, Any]]],
) -> Configuration:
    """Return the configuration with `only` these symbols and strategies, and what is assigned to strategies applied.

    Raises SettingsError.
    """
    chosen = only(configuration, symbols, strategies)
    for name, assigned in changes:
        chosen = apply(chosen, name, assigned)
    return chosen
