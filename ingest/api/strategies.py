"""The strategies, their parameters, and what is in force of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from ingest.api.call import Call, Reply, etag
from ingest.api.models import ConfigItem, RuntimeValueItem
from ingest.api.route import NoQuery
from tasks.configuration import Configuration, catalog
from tasks.configuration.catalog import Parameter
from tasks.errors import UnknownNameError
from tasks.frames.symbols import meant
from tasks.ledger.configurations import ConfigurationInForce
from tasks.ops.entry_filters import strategy_names
from tasks.protocol.utc_time import utc_iso

#: Names of strategies in the services of petrosa, by which its operators call them.
PETROSA_NAMES = {
    "btc_dominance": "market_dominance",
    "iceberg_detector": "iceberg",
    "ticker_velocity": "price_velocity",
}


class PoolQuery(NoQuery):
    """In which pool; empty: the first one that runs the strategy."""

    pool: str = ""


class StrategyItem(BaseModel):
    """A strategy."""

    strategy_id: str
    name: str
    description: str
    has_global_config: bool
    symbol_overrides: list[str]
    parameter_count: int
    kinds: list[str]
    pools: list[str]
    shadow_pools: list[str]


class ParameterItem(BaseModel):
    """A parameter of a strategy."""

    name: str
    type: str
    description: str
    default: Any
    min: float | None
    max: float | None
    #: Which of `min` and `max` are no allowed values themselves.
    exclusive: list[str]
    allowed_values: list[Any] | None
    example: Any


def strategy_of(configuration: Configuration, name: str) -> str:
    """Return the name under which a strategy is configured. Raises UnknownNameError, and SettingsError."""
    try:
        return catalog.configured_name(configuration, name)
    except UnknownNameError:
        if name not in PETROSA_NAMES:
            raise
        return catalog.configured_name(configuration, PETROSA_NAMES[name])


def carried_names(call: Call, named: Iterable[str]) -> frozenset[str]:
    """Return the names that entries carry, of strategies as a caller names them.

    Only what the configuration names is imported to find out: a caller has no module imported by naming it.
    """
    paths = {name for name in named if ":" in name}
    configuration = call.ledger.store.in_force().configuration if paths else None
    known = {name for pool in configuration.pools.values() for name in pool.versions()} if configuration else set()
    return strategy_names(set(named) - paths | paths & known) | (paths - known)


def list_strategies(call: Call) -> Reply:
    """Return the built-in strategies and those of the configuration in force."""
    found = call.ledger.store.in_force()
    items = []
    for each in catalog.listed(found.configuration):
        chosen = [found.configuration.pools[pool].strategies[each.name] for pool in each.pools]
        items.append(
            StrategyItem(
                strategy_id=each.name,
                name=each.name.rpartition(":")[2].replace("_", " ").capitalize(),
                description=each.summary,
                has_global_config=any(one.params for one in chosen),
                symbol_overrides=sorted({symbol for one in chosen for symbol in one.symbols}),
                parameter_count=len(catalog.parameters_of(each.name)),
                kinds=list(each.kinds),
                pools=list(each.pools),
                shadow_pools=list(each.shadow_pools),
            )
        )
    return Reply(items, {"count": len(items), "total_count": len(items)}, etag(found.stored))


def get_schema(call: Call) -> Reply:
    """Return the parameters of a strategy: types, bounds, defaults."""
    return Reply([_parameter(each) for each in _parameters(call)])


def _parameter(of: Parameter) -> ParameterItem:
    bounds = of.bounds
    return ParameterItem(
        name=of.name,
        type=of.type,
        description=of.description,
        default=of.default,
        min=bounds.get("ge", bounds.get("gt")),
        max=bounds.get("le", bounds.get("lt")),
        exclusive=["min"] * ("gt" in bounds) + ["max"] * ("lt" in bounds),
        allowed_values=list(of.allowed) if of.allowed else None,
        example=of.default,
    )


def get_defaults(call: Call) -> Reply:
    """Return the default of each parameter of a strategy."""
    return Reply({each.name: each.default for each in _parameters(call)})


def _parameters(call: Call) -> list[Parameter]:
    name = call.path["strategy"]
    try:
        return catalog.parameters_of(strategy_of(call.ledger.store.in_force().configuration, name))
    except UnknownNameError as unknown:
        builtin = PETROSA_NAMES.get(name, name)
        if builtin in catalog.builtin_names():
            return catalog.parameters_of(builtin)
        raise unknown from None


def get_config(call: Call) -> Reply:
    """Return what is in force of a strategy."""
    found = call.ledger.store.in_force()
    return Reply(config_item(call, found, call.query.pool), etag=etag(found.stored))


def get_symbol_config(call: Call) -> Reply:
    """Return what is in force of a strategy for a symbol."""
    return get_config(call)


def config_item(call: Call, found: ConfigurationInForce, pool: str = "") -> ConfigItem:
    """Return what is in force of the strategy and, if one is named, the symbol in the call's path.

    Raises UnknownNameError: there is no such strategy, or not in this pool.
    """
    configuration, log = found.configuration, call.ledger.store.changes
    name, symbol = strategy_of(configuration, call.path["strategy"]), _symbol(call.path, configuration)
    at = _pool(configuration, name, pool)
    chosen = configuration.pools[at].versions()[name]
    own = chosen.symbols.get(symbol) if symbol else None
    paper = (own and own.paper) or chosen.paper
    set_here = [each for each in found.overlay if each.strategy == name and each.symbol in {"", symbol}]
    gate = configuration.gate_of(at, name)
    newest = next(log.newest_first(), None)
    return ConfigItem(
        strategy_id=call.path["strategy"],
        symbol=symbol or None,
        pool=at,
        parameters=catalog.effective(configuration, at, name, symbol),
        version=log.count(),
        config_version=configuration.version,
        source="run_time" if set_here else "file" if chosen.params or own else "default",
        is_override=own is not None,
        enabled=not (gate.killed or gate.paused or gate.off),
        gate=gate.model_dump(mode="json"),
        paper=paper.model_dump(mode="json", exclude_none=True) if paper else None,
        set_at_run_time=[RuntimeValueItem(key=each.label, value=each.value) for each in set_here],
        created_at=None,
        updated_at=utc_iso(newest.at_ms) if newest else None,
    )


def _symbol(path: Mapping[str, str], configuration: Configuration) -> str:
    return meant(path["symbol"], configuration.symbols()) if "symbol" in path else ""


def _pool(configuration: Configuration, name: str, pool: str) -> str:
    pools = [each for each, chosen in configuration.pools.items() if name in chosen.versions() and pool in {"", each}]
    if not pools:
        raise UnknownNameError(f"there is no pool {pool!r} with a strategy {name!r}")
    return pools[0]
