"""Changing a configuration by words: `orderbook_skew levels=10 gate.min_confidence=0.7`. Pure."""

import re
import tomllib
from collections.abc import Iterable
from typing import Any, NamedTuple

from tasks.configuration import registry
from tasks.configuration.model import Configuration, check
from tasks.configuration.overlay import ALL, Overlay, applied, format_value, of_strategy
from tasks.errors import SettingsError

#: A strategy's name, or the import path of one; a name; a value.
_ASSIGNMENT = re.compile(r"([^.:=]+|[^:=]+:[^.:=]+)\.([^:=]+=.*)", re.DOTALL)


def assignments(words: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` words; a value is TOML (0.7, 5, true, "text"), or text; an empty one means the default (None).

    Raises SettingsError for a word without `=`.
    """
    read: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise SettingsError(f"{word!r} is not NAME=VALUE, such as levels=10")
        read[name] = _value(text)
    return read


def assignment(word: str) -> tuple[str, dict[str, Any]]:
    """Read `STRATEGY.NAME=VALUE`; the strategy may be an import path, `module:Class`. Raises SettingsError."""
    found = _ASSIGNMENT.fullmatch(word)
    if found is None:
        raise SettingsError(f"--set {word}: not STRATEGY.NAME=VALUE, such as orderbook_skew.levels=10")
    return found[1], assignments([found[2]])


def _value(text: str) -> Any:
    if not text:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def values(
    configuration: Configuration, name: str, assigned: dict[str, Any], pool: str = "", symbol: str = ""
) -> Overlay:
    """Return what is assigned as values of a strategy of this configuration (in all its pools, or one), or of `all`.

    `gate.X` is the gate's X. With `symbol`, parameters are those of this symbol. Raises SettingsError.
    """
    if name != ALL:
        name = registry.configured_name(configuration, name, pool)
    return of_strategy(name, assigned, pool, symbol)


def apply(
    configuration: Configuration, name: str, assigned: dict[str, Any], pool: str = "", symbol: str = ""
) -> Configuration:
    """Return the configuration with what is assigned to a strategy (in all its pools, or one), or to `all`.

    `assigned` has values by parameter, `gate.X` for the gate's X; None takes a value back to its default. With `symbol`,
    parameters are those of this symbol. The one given stays as it is. Raises SettingsError: there is no such strategy
    or name, or a value does not fit.
    """
    return applied(configuration, values(configuration, name, assigned, pool, symbol))


def error_limits(configuration: Configuration) -> dict[tuple[str, str], int]:
    """Return the most errors in a minute that are allowed, by pool and the name that the strategy's signals carry."""
    gates = {
        (pool, name): configuration.gate_of(pool, name)
        for pool, chosen in configuration.pools.items()
        for name in chosen.strategies
    }
    return {
        (pool, registry.signal_name(name)): gate.max_errors_per_minute
        for (pool, name), gate in gates.items()
        if gate.max_errors_per_minute is not None and not gate.off
    }


def is_off(configuration: Configuration, pool: str, name: str) -> bool:
    """Whether a strategy of a pool is there and switched off."""
    try:
        configured = registry.configured_name(configuration, name, pool)
    except SettingsError:
        return False
    return configuration.gate_of(pool, configured).off


def only(configuration: Configuration, symbols: Iterable[str], strategies: Iterable[str]) -> Configuration:
    """Return the configuration with these symbols and strategies only; none given means all. Raises SettingsError."""
    tables = configuration.tables()
    wanted_symbols = {symbol.upper() for symbol in symbols}
    wanted = {registry.configured_name(configuration, name) for name in strategies}
    for pool in tables["pools"].values():
        pool["strategies"] = {name: it for name, it in pool["strategies"].items() if not wanted or name in wanted}
        if wanted_symbols:
            pool["symbols"] = sorted(wanted_symbols & set(pool.get("symbols", wanted_symbols)))
    tables["pools"] = {
        name: pool
        for name, pool in tables["pools"].items()
        if pool["strategies"] and (pool.get("symbols") or not wanted_symbols)
    }
    return check(tables, "the configuration")


class KeyDifference(NamedTuple):
    """One key for which two configurations differ; None stands for the default."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """Return it on one line: `pools.depth.strategies.orderbook_skew.levels: 5 → 10`."""
        return f"{self.key}: {format_value(self.old)} → {format_value(self.new)}"


def difference(old: Configuration, new: Configuration) -> list[KeyDifference]:
    """Return what differs, sorted by key."""
    before, after = _flat(old.tables()), _flat(new.tables())
    return [
        KeyDifference(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and not (_has_more(before, key) or _has_more(after, key))
    ]


def _has_more(flat: dict[str, Any], key: str) -> bool:
    """Whether an empty table of one configuration has something in it in this one."""
    return any(each.startswith(f"{key}.") for each in flat)


def strategy_names(configuration: Configuration) -> list[str]:
    """Return the names that the signals of its strategies carry, sorted; commands take them too."""
    return sorted({registry.carried_name(name) for pool in configuration.pools.values() for name in pool.strategies})


def shown(configuration: Configuration) -> list[str]:
    """Return what differs from the defaults, a line each."""
    return [f"{key} = {value}" for key, value in sorted(_flat(configuration.tables()).items())]


def _flat(table: dict[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value
    return flat
