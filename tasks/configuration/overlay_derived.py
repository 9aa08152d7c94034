"""Derives the runtime values from a configuration stored by a release that kept none. Pure."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

import msgspec

from tasks.configuration.model import Configuration
from tasks.configuration.overlay import ALL, Overlay, RuntimeValue, of_pool, recorded


def derived(file: Configuration, active: Configuration) -> Overlay:
    """Return the runtime values that turn the file's configuration into the active one.

    Keys that can't be changed at run time are left out.
    """
    was, now = file.tables(), active.tables()
    found = [*_differing(ALL, "", {"gate": was.get("gate", {})}, {"gate": now.get("gate", {})})]
    for pool in was["pools"].keys() & now["pools"].keys():
        one, other = was["pools"][pool], now["pools"][pool]
        if one.get("paused") != other.get("paused"):
            found += of_pool(pool, paused=bool(other.get("paused")))
        for name in one["strategies"].keys() & other["strategies"].keys():
            found += _differing(name, pool, one["strategies"][name], other["strategies"][name])
    return recorded((), file, _merge_pools(found, file))


def _differing(strategy: str, pool: str, was: dict[str, Any], now: dict[str, Any]) -> Iterator[RuntimeValue]:
    one, other = _flat(was), _flat(now)
    for symbol, key in one.keys() | other.keys():
        value = other.get((symbol, key))
        if one.get((symbol, key)) != value:
            yield RuntimeValue(strategy, pool, symbol, key, value)


def _flat(table: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Return the values in the table of a strategy, by symbol and key."""
    flat = {("", key): value for key, value in table.items() if key not in {"alias", "gate", "symbols"}}
    flat |= {("", f"gate.{key}"): value for key, value in table.get("gate", {}).items()}
    for symbol, params in table.get("symbols", {}).items():
        flat |= {(symbol, key): value for key, value in params.items()}
    return flat


def _merge_pools(values: Iterable[RuntimeValue], file: Configuration) -> Iterator[RuntimeValue]:
    """Merge values that are equal in all pools of a strategy into one, so that it survives renaming a pool."""
    by_key = sorted(values, key=lambda value: (value.strategy, value.symbol, value.key, value.pool))
    for (strategy, *_), group in groupby(by_key, lambda value: (value.strategy, value.symbol, value.key)):
        alike = list(group)
        pools = {name for name, pool in file.pools.items() if strategy in pool.strategies}
        if pools == {each.pool for each in alike} and all(each.value == alike[0].value for each in alike):
            yield msgspec.structs.replace(alike[0], pool="")
        else:
            yield from alike
