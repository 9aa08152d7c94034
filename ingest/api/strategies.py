"""The strategies, their parameters, and what is in force of them."""

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec.structs import asdict
from pydantic import BaseModel, Field

from ingest.api.call import Call, Reply, etag
from ingest.api.route import NoQuery
from tasks.configuration import Configuration, catalog, shared_values
from tasks.configuration.catalog import Parameter
from tasks.configuration.overlay import ALL
from tasks.errors import UnknownNameError
from tasks.ops.entry_filters import strategy_names
from tasks.ops.warm_ups import warm_ups
from tasks.paper.terms import VenueName
from tasks.protocol.strategy_counts import StrategyCounts, strategy_counts


class VenuesQuery(NoQuery):
    """Of which venues there are fees, beside those by default and in the configuration."""

    venues: Annotated[list[VenueName], Field(max_length=100)] = Field(default_factory=list)


class StrategyItem(BaseModel):
    """A strategy."""

    strategy_id: str
    #: By which other systems know it, and which paths take too; empty: it has none.
    alias: str
    name: str
    description: str
    has_global_config: bool
    symbol_overrides: list[str]
    parameter_count: int
    kinds: list[str]
    pools: list[str]
    shadow_pools: list[str]


class WarmUpItem(BaseModel):
    """The warm-up of a strategy: signals of the first events of a state are dropped."""

    states: int
    warming: Annotated[int, Field(description="states that still warm up")]
    seen: Annotated[int, Field(description="events that the one furthest behind has seen")]
    needed: Annotated[int, Field(description="events that it needs; 0: none warms up")]


class CountsItem(BaseModel):
    """What the live pipeline has counted of a strategy, since the ledger began."""

    strategy_id: str
    signals: int
    held: Annotated[dict[str, int], Field(description="signals that the gate held back, by reason")]
    errors: Annotated[int, Field(description="events on which it raised")]
    events: Annotated[int, Field(description="events that it was given and that were timed")]
    event_us: Annotated[float | None, Field(description="mean time for one of these, in microseconds")]
    warm_up: Annotated[WarmUpItem | None, Field(description="null: it needs none, or has no state yet")]


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
    """Return the name under which a strategy is configured, by it or its alias. Raises UnknownNameError, SettingsError."""
    return catalog.configured_name(configuration, name)


def scope_of(configuration: Configuration, name: str) -> str:
    """Return the same, or `all`, which stands for every strategy: it has values of gates and of the paper account."""
    return ALL if name == ALL else strategy_of(configuration, name)


def carried_names(call: Call, named: Iterable[str]) -> frozenset[str]:
    """Return the names that entries carry, of strategies as a caller names them.

    Only what the configuration names is imported to find out: a caller has no module imported by naming it.
    """
    paths = {name for name in named if ":" in name}
    configuration = call.ledger.store.in_force().configuration if paths else None
    known = {name for pool in configuration.pools.values() for name in pool.versions()} if configuration else set()
    return strategy_names(set(named) - paths | paths & known, call.ledger.store.aliases.read()) | (paths - known)


def list_strategies(call: Call) -> Reply:
    """Return the built-in strategies and those of the configuration in force."""
    found = call.ledger.store.in_force()
    items = []
    for each in catalog.listed(found.configuration):
        chosen = [found.configuration.pools[pool].strategies[each.name] for pool in each.pools]
        items.append(
            StrategyItem(
                strategy_id=each.name,
                alias=each.alias,
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


def list_counts(call: Call) -> Reply:
    """Return what was counted of each strategy that `/strategies` lists; apart, as it changes with every event."""
    configuration, counted = call.ledger.store.in_force().configuration, strategy_counts(call.ledger.reader.counters())
    warming, items = warm_ups(call.ledger.reader, configuration), []
    for each in catalog.listed(configuration):
        counts = counted.get(each.signal_name, StrategyCounts())
        items.append(
            CountsItem(
                strategy_id=each.name,
                signals=counts.signals,
                held=counts.held,
                errors=counts.errors,
                events=counts.events,
                event_us=counts.event_us,
                warm_up=WarmUpItem(**asdict(warm_up)) if (warm_up := warming.get(each.signal_name)) else None,
            )
        )
    return Reply(items, {"count": len(items)})


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


def get_shared_schema(call: Call) -> Reply:
    """Return the values that gates and paper accounts have, of a strategy or of `all`: types, bounds, defaults.

    A default of null: what holds for all strategies, or else what the description tells.
    """
    venues = shared_values.venues(call.ledger.store.in_force().configuration).union(call.query.venues)
    return Reply([_parameter(each) for each in shared_values.schema(sorted(venues))])


def get_defaults(call: Call) -> Reply:
    """Return the default of each parameter of a strategy."""
    return Reply({each.name: each.default for each in _parameters(call)})


def _parameters(call: Call) -> list[Parameter]:
    name = call.path["strategy"]
    if name == ALL:
        return []
    try:
        return catalog.parameters_of(strategy_of(call.ledger.store.in_force().configuration, name))
    except UnknownNameError as unknown:
        if name in catalog.builtin_names():
            return catalog.parameters_of(name)
        raise unknown from None
