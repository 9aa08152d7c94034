"""Parameter sets as strategies that the engine runs side by side: each under the id of its unit."""

import hashlib
import inspect
from functools import lru_cache
from typing import Any

import msgspec

from tasks.configuration import Configuration, named_strategies, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.configuration.model import check
from tasks.errors import SettingsError
from tasks.events import Kind
from tasks.sweep.block import Block, Unit
from tasks.version import VERSION


def alone(configuration: Configuration, strategy: str, pool: str) -> Configuration:
    """Return the configuration with one strategy of one pool, without shadows, and with a paper account.

    Raises SettingsError: the strategy gives no signals now, or has no account.
    """
    tables = configuration.tables()
    chosen = tables["pools"][pool]
    chosen.pop("shadow", None)
    chosen["strategies"] = {strategy: chosen["strategies"][strategy]}
    tables["pools"] = {pool: chosen}
    tables.setdefault("paper", {})
    made = check(tables, "the configuration")
    gate = made.gate_of(pool, strategy)
    for word, is_so in {"switched off": gate.off, "killed": gate.killed, "paused": gate.paused}.items():
        if is_so:
            raise SettingsError(f"{strategy} is {word} in pool {pool}: it would give no signal")
    _require_account(_bound(made, pool))
    return made


def _require_account(bound: BoundStrategy) -> None:
    if bound.paper is None or not bound.paper.is_open:
        raise SettingsError(f"{bound.name} has no paper account (paper.enabled = false): there would be no figures")
    if bound.paper.price_kind is None:
        raise SettingsError(f"the pool of {bound.name} takes no events that tell a price: there would be no figures")


def with_set(configuration: Configuration, strategy: str, parameters: dict[str, Any]) -> BoundStrategy:
    """Return the only strategy of a configuration with these parameters. Raises SettingsError: they do not fit."""
    (pool,) = configuration.pools
    bound = _bound(named_strategies.apply(configuration, strategy, parameters), pool)
    _require_account(bound)
    return bound


def _bound(configuration: Configuration, pool: str) -> BoundStrategy:
    running = registry.running(configuration)[pool]
    if not running:
        raise SettingsError(f"the strategy of pool {pool} would be switched off")
    return running[0]


def bind(block: Block) -> dict[str, BoundStrategy]:
    """Return the strategies of a block by the id of their unit, which is also their name. Raises SettingsError."""
    return {unit.id: _of_unit(block.configuration, block.strategy, _Parameters(unit)) for unit in block.units}


class _Parameters:
    """A unit's parameters as a key of the cache."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit

    def __hash__(self) -> int:
        return hash(self.unit.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parameters) and other.unit.id == self.unit.id


@lru_cache(maxsize=4_096)
def _of_unit(configuration: bytes, strategy: str, key: _Parameters) -> BoundStrategy:
    bound = with_set(Configuration.parse(configuration), strategy, key.unit.parameters)
    return msgspec.structs.replace(bound, name=key.unit.id)


@lru_cache(maxsize=64)
def kinds(configuration: bytes) -> frozenset[Kind]:
    """Return the kinds of events that the pool of a canonical configuration takes."""
    return Configuration.parse(configuration).kinds


def code_version(strategy: str) -> str:
    """Return what changes with the code that runs a strategy: our version, and a hash of the strategy's module.

    Raises SettingsError: there is no such strategy.
    """
    module = inspect.getmodule(registry.find(strategy))
    try:
        source = inspect.getsource(module) if module else ""
    except (OSError, TypeError):
        source = ""
    return f"{VERSION} {hashlib.sha256(source.encode()).hexdigest()[:16]}"
