"""Changing a configuration by words: `orderbook_skew levels=10 gate.min_confidence=0.7`. Pure."""

import tomllib
from collections.abc import Iterable
from typing import Any

from tasks import registry
from tasks.configuration import Configuration, check
from tasks.errors import SettingsError

#: Stands for all strategies; only gates can be set for all.
ALL = "all"


def assignments(words: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` words; a value is TOML (0.7, 5, true, "text"), or text; an empty one means the default (None).

    Raises SettingsError for a word without `=`.
    """
    read: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise SettingsError(f"{word!r} is not name=value")
        read[name] = _value(text)
    return read


def _value(text: str) -> Any:
    if not text:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def apply(
    configuration: Configuration, name: str, values: dict[str, Any], pool: str = "", symbol: str = ""
) -> Configuration:
    """Give the configuration with other values for a strategy (in all its pools, or one), or for `all`.

    `gate.X` is the gate's X. With `symbol`, parameters are those of this symbol. Raises SettingsError.
    """
    tables = configuration.tables()
    if name == ALL:
        if symbol or pool or not all(key.startswith("gate.") for key in values):
            raise SettingsError("for all strategies only gates can be set: gate.killed=true")
        _put(tables, values)
        return check(tables, "the configuration")
    name = registry.configured_name(configuration, name, pool)
    found = [
        each["strategies"][name]
        for chosen, each in tables["pools"].items()
        if name in each["strategies"] and pool in {"", chosen}
    ]
    for table in found:
        params = {key: value for key, value in values.items() if not key.startswith("gate.")}
        _put(table, {key: value for key, value in values.items() if key not in params})
        _put(table.setdefault("symbols", {}).setdefault(symbol.upper(), {}) if symbol else table, params)
    return check(tables, "the configuration")


def pause(configuration: Configuration, pool: str, *, paused: bool) -> Configuration:
    """Give the configuration with a pool paused or not. Raises SettingsError."""
    tables = configuration.tables()
    if pool not in tables["pools"]:
        raise SettingsError(f"there is no pool {pool!r}; known: {', '.join(tables['pools'])}")
    tables["pools"][pool]["paused"] = paused
    return check(tables, "the configuration")


def only(configuration: Configuration, symbols: Iterable[str], strategies: Iterable[str]) -> Configuration:
    """Give the configuration with these symbols and strategies only; none given means all. Raises SettingsError."""
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


def _put(table: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        *path, last = key.split(".")
        inner = table
        for part in path:
            inner = inner.setdefault(part, {})
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = value


def difference(old: Configuration, new: Configuration) -> list[str]:
    """Say what differs, a line each: `pools.depth.strategies.orderbook_skew.levels: 5 → 10`."""
    before, after = _flat(old.tables()), _flat(new.tables())
    return [
        f"{key}: {before.get(key, 'default')} → {after.get(key, 'default')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def shown(configuration: Configuration) -> list[str]:
    """Give what differs from the defaults, a line each."""
    return [f"{key} = {value}" for key, value in sorted(_flat(configuration.tables()).items())]


def _flat(table: dict[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value
    return flat
