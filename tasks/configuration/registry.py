"""From the names in a configuration to strategies: the built-in ones by name, anybody's as `module:Class`."""

import difflib
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain
from typing import Any

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tasks import settings
from tasks.bars.spec import parse_all
from tasks.configuration import aliases, import_path
from tasks.configuration.bound_strategy import BoundStrategy, PaperBinding
from tasks.configuration.gate import Gate
from tasks.configuration.model import SHADOW, Configuration, PoolConfiguration
from tasks.configuration.overlay import ALL
from tasks.configuration.revisions import revision
from tasks.configuration.shadows import misplaced
from tasks.configuration.strategy_tables import ShadowConfiguration, VersionConfiguration
from tasks.errors import SettingsError, UnknownNameError
from tasks.fatal_errors import is_fatal
from tasks.paper import PaperTable, fills, resolve
from tasks.settings import validation
from tasks.strategy import AnyStrategy, Strategy, has_bars, looks_at

#: Imported when asked for, so that a worker loads what it runs and nothing else.
_BUILTIN = {
    "depth_pressure": "tasks.strategies.depth_pressure:DepthPressure",
    "iceberg": "tasks.strategies.iceberg:Iceberg",
    "market_dominance": "tasks.strategies.market_dominance:MarketDominance",
    "orderbook_skew": "tasks.strategies.orderbook_skew:OrderbookSkew",
    "price_velocity": "tasks.strategies.price_velocity:PriceVelocity",
    "spread_liquidity": "tasks.strategies.spread_liquidity:SpreadLiquidity",
    "trade_momentum": "tasks.strategies.trade_momentum:TradeMomentum",
}


def builtin_names() -> tuple[str, ...]:
    """Return the names of the strategies that come with the project."""
    return tuple(_BUILTIN)


def create(name: str, params: dict[str, Any]) -> AnyStrategy:
    """Make the strategy `name`. Raises SettingsError: no such strategy, or a line for each fault of `params`."""
    strategy_type = find(name)
    try:
        return strategy_type.create(params)
    except ValidationError as error:
        said = [f"{name}: {_place(fault)}{validation.say(fault)}" for fault in validation.faults(error)]
    except BaseException as error:  # So may its class.
        if is_fatal(error):
            raise
        raise SettingsError(f"{name}: can't be made: {_said(error)}") from error
    raise SettingsError("\n".join(said))


def find(name: str) -> type[AnyStrategy]:
    """Import and return the class of the strategy `name`. Raises SettingsError: there is none that can be used.

    Somebody's own may stand in the strategies file's folder, in those of STRATEGIES_PATH, or in the current one.
    """
    module_name, separator, class_name = _BUILTIN.get(name, name).partition(":")
    if not separator or not module_name or not class_name:
        close = difflib.get_close_matches(name, _BUILTIN, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(_BUILTIN)}, or module:Class"
        raise UnknownNameError(f"{name}: there is no such strategy; {hint}")
    if name not in _BUILTIN:
        _extend_path(name, module_name)
    try:
        found = getattr(import_module(module_name), class_name)
    except BaseException as error:  # Importing runs somebody's code: it may raise anything, SystemExit too.
        if is_fatal(error):
            raise
        raise SettingsError(f"{name}: can't be imported: {_said(error)}") from error
    if not isinstance(found, type) or not issubclass(found, Strategy):
        raise SettingsError(f"{name}: {class_name} is not a Strategy")
    if not isinstance(getattr(found, "name", None), str) or not hasattr(found, "params_type"):
        raise SettingsError(f"{name}: {class_name} needs a `name` and a base of Strategy[itsParams, itsState]")
    try:
        found.state_type()
    except TypeError:
        raise SettingsError(f"{name}: every field of {found.state_type.__name__} needs a default") from None
    return found


def _extend_path(name: str, module: str) -> None:
    """Let `module` be imported. Raises SettingsError: strategies may not come from there."""
    chosen = settings.load()
    if refused := import_path.refusal(module, chosen):
        raise SettingsError(f"{name}: can't be imported: {refused}")
    import_path.extend(chosen)


def _said(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def build(configuration: Configuration) -> dict[str, tuple[BoundStrategy, ...]]:
    """Return the strategies of every pool, by name, then their shadows.

    Raises SettingsError, one message with every fault.
    """
    built: dict[str, tuple[BoundStrategy, ...]] = {}
    faults: list[str] = []
    for pool_name in configuration.pools:
        strategies: list[BoundStrategy] = []
        faults += [f"pool {pool_name}: {fault}" for fault in _build_pool(configuration, pool_name, strategies)]
        faults += _twins(configuration, pool_name, strategies, built)
        built[pool_name] = tuple(strategies)
    faults += aliases.misfits(configuration, (ALL, *_BUILTIN), signal_name)
    if faults:
        raise SettingsError.of("the strategies can't be used", faults)
    return built


def _build_pool(configuration: Configuration, pool_name: str, strategies: list[BoundStrategy]) -> Iterator[str]:
    """Add to `strategies` those of a pool that can be made; yield the faults."""
    pool = configuration.pools[pool_name]
    yield from misplaced(configuration, pool_name)
    for name, chosen in pool.versions().items():
        paper = _paper(configuration.paper, pool, chosen)
        try:
            strategy = _bind(name, chosen, configuration.gate_of(pool_name, name), paper)
        except SettingsError as error:
            yield from str(error).splitlines()
        else:
            if isinstance(chosen, ShadowConfiguration):
                strategy = strategy.as_shadow(SHADOW, signal_name(chosen.of))
            strategy = msgspec.structs.replace(strategy, emits=pool.emits(name))
            yield from (f"{name}: {misfit}" for misfit in _misfits(strategy, pool, chosen, strategies))
            strategies.append(strategy)


def running(configuration: Configuration) -> dict[str, tuple[BoundStrategy, ...]]:
    """Return what `build` returns, without the strategies that are off: what workers and the backtest run."""
    return {
        pool: tuple(each for each in strategies if not each.gate.off)
        for pool, strategies in build(configuration).items()
    }


def configured_name(configuration: Configuration, name: str, pool: str = "") -> str:
    """Return the name under which a strategy is configured: `mine:Boom` for its alias, or for `boom` of its signals.

    With `pool`, only strategies of this pool are looked at. Raises SettingsError: there is none, or more than one.
    """
    known = {each for chosen, of in configuration.pools.items() if pool in {"", chosen} for each in of.versions()}
    aliased = {alias: each for each, alias in aliases.by_strategy(configuration).items() if each in known}
    if name in known or name in aliased:
        return aliased.get(name, name)
    carried = {each: run_name(each) for each in known}
    found = sorted(each for each, called in carried.items() if called == name)
    if len(found) > 1:
        raise SettingsError(f"{name!r} is the name of several strategies; say which: {', '.join(found)}")
    if not found:
        raise UnknownNameError(_no_such_strategy(name, pool, carried))
    return found[0]


def signal_name(name: str) -> str:
    """Return the name that a strategy's signals carry; nothing where it is none, or can't be imported here."""
    try:
        return find(name).name
    except SettingsError:
        return ""


def run_name(name: str) -> str:
    """Return the name that states and dead letters of a strategy or shadow carry; nothing where it can't be imported."""
    prefix = SHADOW if name.startswith(SHADOW) else ""
    found = signal_name(name.removeprefix(SHADOW))
    return found and f"{prefix}{found}"


def carried_name(name: str) -> str:
    """Return the name that states and dead letters carry: `boom` for `mine:Boom`, and for `boom` itself.

    Of all but shadows, signals carry the same.
    """
    return (run_name(name) if ":" in name else "") or name


def _no_such_strategy(name: str, pool: str, carried: Mapping[str, str]) -> str:
    names = sorted({*carried, *carried.values()} - {""})
    close = difflib.get_close_matches(name, names, n=1)
    where = f" in pool {pool!r}" if pool else ""
    return f"there is no strategy {name!r}{where}; " + (
        f"did you mean {close[0]}?" if close and not pool else f"known: {', '.join(sorted(carried))}"
    )


def _paper(common: PaperTable | None, pool: PoolConfiguration, chosen: VersionConfiguration) -> PaperBinding | None:
    """Return the paper account of a strategy; None: it has none."""
    of_symbols = {symbol: each.paper for symbol, each in chosen.symbols.items() if each.paper is not None}
    binding = PaperBinding(
        fills.price_kind(pool.kinds),
        resolve([common, chosen.paper]),
        {symbol: resolve([common, chosen.paper, table]) for symbol, table in of_symbols.items()},
    )
    return binding if binding.is_open else None


def _bind(name: str, chosen: VersionConfiguration, gate: Gate, paper: PaperBinding | None) -> BoundStrategy:
    """Return a strategy behind its gate, with other parameters for some symbols. Raises SettingsError."""
    prefix = SHADOW if name.startswith(SHADOW) else ""
    faults: list[str] = []
    made: dict[str, AnyStrategy] = {}
    of_symbols = {symbol: each.params for symbol, each in chosen.symbols.items()}
    for symbol, params in {"": {}, **of_symbols}.items():
        try:
            made[symbol] = create(name.removeprefix(prefix), chosen.params | params)
        except SettingsError as error:
            said = (f"{prefix}{fault}" for fault in str(error).splitlines())
            faults += [f"{symbol}: {fault}" if symbol else fault for fault in said]
    if faults:
        # A fault of the common parameters is one of every symbol's too: it is said once.
        raise SettingsError("\n".join(fault for fault in faults if fault.partition(": ")[2] not in faults))
    revisions = {symbol: revision(strategy) for symbol, strategy in made.items()}
    return msgspec.structs.replace(BoundStrategy.of(made.pop(""), gate, made, paper), revisions=revisions)


def _misfits(
    bound: BoundStrategy, pool: PoolConfiguration, chosen: VersionConfiguration, others: list[BoundStrategy]
) -> Iterator[str]:
    if pool.key == "all" and any(each.params for each in chosen.symbols.values()):
        yield "has parameters by symbol, but one state for all symbols"
    strategy = bound.strategy
    if strategy.key != pool.key:
        yield f"is keyed by {strategy.key!r}, the pool by {pool.key!r}"
    if not has_bars(type(strategy)) and not any(looks_at(type(strategy), kind) for kind in pool.kinds):
        yield f"sees nothing of the pool's events ({', '.join(pool.kinds)})"
    yield from dict.fromkeys(chain(*(_bar_misfits(each, pool) for each in (strategy, *bound.overrides.values()))))
    if any(bound.name == other.name for other in others):
        yield f"the pool already has a strategy named {bound.name!r}"
    if bound.shadows and any(bound.signal_name == other.name != bound.shadows for other in others):
        yield f"its signals would be named as those of {bound.signal_name!r}, which it does not shadow"


def _bar_misfits(strategy: AnyStrategy, pool: PoolConfiguration) -> Iterator[str]:
    has_method, taken = has_bars(type(strategy)), {"trade", "agg_trade"} & set(pool.kinds)
    try:
        wanted = parse_all(strategy.bars)
    except ValueError as error:
        yield str(error)
        return
    except BaseException as error:  # `bars` may be somebody's property: it may raise anything.
        if is_fatal(error):
            raise
        yield f"its bars can't be read: {_said(error)}"
        return
    if has_method and not wanted:
        yield "has an on_bar, but asks for no bars: set `bars`"
    if wanted and not has_method:
        yield "asks for bars, but has no on_bar"
    if wanted and not taken:
        yield f"asks for bars, which are built from trades: the pool's kinds ({', '.join(pool.kinds)}) lack trade or agg_trade"
    if wanted and len(taken) > 1:
        yield "asks for bars, and the pool takes both trade and agg_trade: each trade would count twice"


def _twins(
    configuration: Configuration,
    name: str,
    strategies: list[BoundStrategy],
    built: dict[str, tuple[BoundStrategy, ...]],
) -> Iterator[str]:
    """Find strategies that see the same events in an earlier pool: they would give the same signals again."""
    pool = configuration.pools[name]
    for other_name, others in built.items():
        other = configuration.pools[other_name]
        apart = pool.symbols and other.symbols and not pool.symbols & other.symbols
        if apart or not set(pool.kinds) & set(other.kinds):
            continue
        # By the name that signals carry: whichever version of it emits.
        taken = {each.signal_name for each in others}
        for strategy in strategies:
            if strategy.signal_name in taken:
                yield f"pool {name}: {strategy.name}: sees the same events in pool {other_name}"


def _place(fault: ErrorDetails) -> str:
    where = validation.place(fault)
    return f"{where}: " if where else ""
