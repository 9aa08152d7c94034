"""What is in force of a strategy, of one symbol of it, or of all strategies."""

from typing import Any, NamedTuple

from ingest.api.call import Call, Reply, etag
from ingest.api.models import ConfigItem, RuntimeValueItem
from ingest.api.route import NoQuery
from ingest.api.strategies import scope_of
from tasks.configuration import Configuration, catalog, shared_values
from tasks.configuration.gate import Gate
from tasks.configuration.overlay import ALL
from tasks.errors import UnknownNameError
from tasks.frames.symbols import meant
from tasks.ledger.configurations import ConfigurationInForce
from tasks.paper import PaperTable
from tasks.protocol.utc_time import utc_iso


class PoolQuery(NoQuery):
    """In which pool; empty: the first one that runs the strategy."""

    pool: str = ""


def get_config(call: Call) -> Reply:
    """Return what is in force of a strategy."""
    found = call.ledger.store.in_force()
    return Reply(config_item(call, found, call.query.pool), etag=etag(found.stored))


def get_symbol_config(call: Call) -> Reply:
    """Return what is in force of a strategy for a symbol."""
    return get_config(call)


def config_item(call: Call, found: ConfigurationInForce, pool: str = "", symbol: str = "") -> ConfigItem:
    """Return what is in force of the strategy in the call's path and, if one is named, of a symbol.

    The symbol in the path counts, if there is one.

    Raises UnknownNameError: there is no such strategy, or not in this pool.
    """
    configuration, log = found.configuration, call.ledger.store.changes
    name, symbol = scope_of(configuration, call.path["strategy"]), call.path.get("symbol", symbol)
    symbol = symbol and meant(symbol, configuration.symbols())
    scope = _scope_of_all(configuration) if name == ALL else _scope(configuration, name, symbol, pool)
    set_here = [each for each in found.overlay if each.strategy == name and each.symbol in {"", symbol}]
    gate, paper = scope.gate, scope.paper
    newest = next(log.newest_first(), None)
    return ConfigItem(
        strategy_id=call.path["strategy"],
        symbol=symbol or None,
        pool=scope.pool,
        parameters=scope.parameters,
        version=log.count(),
        config_version=configuration.version,
        source="run_time" if set_here else "file" if scope.is_written else "default",
        is_override=scope.is_override,
        enabled=not (gate.killed or gate.paused or gate.off),
        gate=gate.model_dump(mode="json"),
        paper=paper.model_dump(mode="json", exclude_none=True) if paper else None,
        values=scope.values,
        set_at_run_time=[RuntimeValueItem(key=each.label, value=each.value) for each in set_here],
        created_at=None,
        updated_at=utc_iso(newest.at_ms) if newest else None,
    )


class _Scope(NamedTuple):
    """What is in force of a strategy, of a symbol of it, or of all strategies."""

    pool: str
    parameters: dict[str, Any]
    gate: Gate
    paper: PaperTable | None
    values: dict[str, Any]
    is_written: bool
    is_override: bool = False


def _scope_of_all(configuration: Configuration) -> _Scope:
    gate, paper = configuration.gate, configuration.paper
    values = shared_values.written(gate, paper)
    return _Scope("", {}, gate, paper, values, is_written=bool(values))


def _scope(configuration: Configuration, name: str, symbol: str, pool: str) -> _Scope:
    at = _pool(configuration, name, pool)
    chosen = configuration.pools[at].versions()[name]
    own = chosen.symbols.get(symbol) if symbol else None
    values = (
        shared_values.written(None, own.paper if own else None)
        if symbol
        else shared_values.written(chosen.gate, chosen.paper)
    )
    return _Scope(
        at,
        catalog.effective(configuration, at, name, symbol),
        configuration.gate_of(at, name),
        (own and own.paper) or chosen.paper,
        values,
        is_written=bool(chosen.params or own),
        is_override=own is not None,
    )


def _pool(configuration: Configuration, name: str, pool: str) -> str:
    pools = [each for each, chosen in configuration.pools.items() if name in chosen.versions() and pool in {"", each}]
    if not pools:
        raise UnknownNameError(f"there is no pool {pool!r} with a strategy {name!r}")
    return pools[0]
