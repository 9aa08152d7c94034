"""Pools, strategies, parameters and gates: read from a file, carried to the workers by content hash. Pure but `read`.

    [gate]                                            # for all strategies
    max_signals_per_hour = 720

    [paper]                                           # the paper account, for all strategies
    latency_ms = 50

    [pools.depth]
    kinds = ["depth"]
    [pools.depth.strategies.orderbook_skew]           # a built-in name, or "module:Class"
    alias = "skew"                                    # the name by which other systems know it
    levels = 5
    [pools.depth.strategies.orderbook_skew.gate]      # for this strategy
    min_confidence = 0.7
    [pools.depth.strategies.orderbook_skew.symbols.BTCUSDT]
    levels = 10                                       # for this symbol
    [pools.depth.shadow.orderbook_skew]               # a second version of a strategy, whose signals do not go out
    of = "orderbook_skew"
    levels = 8

The version names what strategies do, not how it is spread or what others call it: partitions and aliases do not count.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tasks.configuration import toml_file
from tasks.configuration.gate import OPEN, Gate
from tasks.configuration.strategy_tables import ShadowConfiguration, StrategyConfiguration, VersionConfiguration
from tasks.errors import LedgerError, SettingsError
from tasks.events import Kind
from tasks.paper import PaperTable
from tasks.protocol.routing import MAX_PARTITIONS, TABLES, Pool
from tasks.protocol.task_name import RESEARCH_QUEUE
from tasks.settings import validation

#: Before the name of a shadow, wherever it stands beside those of strategies.
SHADOW = "shadow~"


def _no_queue_of_sweeps(name: str) -> str:
    if name == RESEARCH_QUEUE:
        raise ValueError(f"{name} is the queue of sweeps: name the pool otherwise")
    return name


PoolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$"), AfterValidator(_no_queue_of_sweeps)]


class PoolConfiguration(BaseModel):
    """One pool of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1, description="which events its strategies get")]
    key: Annotated[
        Literal["symbol", "all"], Field(description="a state and an order for each symbol, or one for all of them")
    ] = "symbol"
    partitions: Annotated[
        int, Field(ge=1, le=MAX_PARTITIONS, description="its lanes: so many workers can be busy in it at once")
    ] = 8
    symbols: Annotated[frozenset[str], Field(description="these alone; without it all")] = frozenset()
    paused: Annotated[bool, Field(description="hold the signals of all its strategies back, for a while")] = False
    strategies: Annotated[
        dict[str, StrategyConfiguration],
        Field(min_length=1, description="by built-in name, or import path module:Class"),
    ]
    shadow: Annotated[
        dict[str, ShadowConfiguration], Field(description="second versions of them, by the same kind of name")
    ] = {}

    def versions(self) -> dict[str, VersionConfiguration]:
        """Return the strategies by name, then their shadows behind `SHADOW`, each sorted."""
        shadows = {f"{SHADOW}{name}": chosen for name, chosen in sorted(self.shadow.items())}
        return {**dict(sorted(self.strategies.items())), **shadows}

    def emits(self, version: str) -> bool:
        """Return whether the signals of one of `versions` go out."""
        chosen = self.shadow.get(version.removeprefix(SHADOW)) if version.startswith(SHADOW) else None
        return chosen.emits if chosen else not any(each.emits and each.of == version for each in self.shadow.values())


class Configuration(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: Gate = OPEN
    #: None: there is none, unless a strategy has terms of its own.
    paper: Annotated[PaperTable | None, Field(description="terms of the paper account, for all strategies")] = None
    pools: Annotated[dict[PoolName, PoolConfiguration], Field(min_length=1)]

    def routes(self) -> tuple[Pool, ...]:
        """Return the pools as routing sees them."""
        has = {"paper": self._opens_accounts, "shadow": any(pool.shadow for pool in self.pools.values())}
        tables = tuple(table for table in TABLES if has[table])
        return tuple(
            Pool(name, pool.kinds, pool.key, pool.partitions, pool.symbols, tables) for name, pool in self.pools.items()
        )

    @property
    def _opens_accounts(self) -> bool:
        versions = [each for pool in self.pools.values() for each in pool.versions().values()]
        of_symbols = [each.paper for version in versions for each in version.symbols.values()]
        return any(table is not None for table in (self.paper, *(each.paper for each in versions), *of_symbols))

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of events that some pool takes."""
        return frozenset(kind for pool in self.pools.values() for kind in pool.kinds)

    def gate_of(self, pool: str, strategy: str) -> Gate:
        """Return the gate through which the signals of a strategy or shadow (one of `versions`) go.

        A shadow's is that of the strategy that it shadows too, but for `off`: it may be the one that does not raise.
        """
        chosen = self.pools[pool]
        version = chosen.versions()[strategy]
        gate = self.gate.and_also(version.gate).and_also(Gate(paused=chosen.paused))
        if isinstance(version, ShadowConfiguration) and version.of in chosen.strategies:
            gate = gate.and_also(chosen.strategies[version.of].gate.model_copy(update={"off": False}))
        return gate

    def symbols(self) -> set[str]:
        """Return every symbol that is named in it."""
        pools = self.pools.values()
        of_strategies = {symbol for pool in pools for each in pool.versions().values() for symbol in each.symbols}
        return of_strategies.union(*(pool.symbols for pool in pools))

    def tables(self) -> dict[str, Any]:
        """Return nested tables as a file would hold them, defaults left out, symbols sorted."""
        tables = self.model_dump(mode="json", exclude_defaults=True)
        for pool in tables["pools"].values():
            if "symbols" in pool:
                pool["symbols"].sort()
        return tables

    def explicit_tables(self) -> dict[str, Any]:
        """Return the same, and the defaults that were written down: `killed = false` says something to who killed it."""
        tables = self.tables()
        _add_explicit(tables, self.gate)
        for name, pool in self.pools.items():
            if "paused" in pool.model_fields_set:
                tables["pools"][name]["paused"] = pool.paused
            for table, versions in (("strategies", pool.strategies), ("shadow", pool.shadow)):
                for strategy, chosen in versions.items():
                    _add_explicit(tables["pools"][name][table][strategy], chosen.gate)
        return tables

    def canonical(self) -> bytes:
        """Return the JSON that is hashed; `parse` reads it."""
        return _packed(self.tables())

    def stored(self) -> bytes:
        """Return the JSON that the ledger keeps, with the defaults that were written down; `parse` reads it."""
        return _packed(self.explicit_tables())

    @property
    def version(self) -> str:
        """The content hash: 16 hexadecimal digits."""
        return hashlib.sha256(self.canonical()).hexdigest()[:16]

    @classmethod
    def parse_as(cls, version: str, packed: bytes) -> "Configuration":
        """Read what the ledger keeps under `version`. Raises LedgerError: it is something else, or another one."""
        found = cls.parse(packed)
        if found.version != version:
            raise LedgerError(
                f"the ledger's configuration {version} was changed: its content is that of {found.version}"
            )
        return found

    @classmethod
    def parse(cls, canonical: bytes) -> "Configuration":
        """Read what `canonical` or `stored` gave. Raises LedgerError: it is something else."""
        try:
            return cls.model_validate_json(canonical)
        except ValidationError as error:
            first = validation.faults(error)[0]
            raise LedgerError(
                f"the ledger's configuration can't be read: {validation.place(first)} {validation.say(first)}"
            ) from None


def _add_explicit(table: dict[str, Any], gate: Gate) -> None:
    if gate.model_fields_set:
        table["gate"] = gate.model_dump(mode="json", include=gate.model_fields_set)


def _packed(tables: dict[str, Any]) -> bytes:
    for pool in tables["pools"].values():
        pool.pop("partitions", None)
        for strategy in pool["strategies"].values():
            strategy.pop("alias", None)
    return msgspec.json.encode(tables, order="sorted")


def check(tables: Any, what: str) -> Configuration:
    """Return the configuration of nested tables.

    Raises SettingsError, one message with every fault; `what` begins it.
    """
    try:
        return Configuration.model_validate(tables)
    except ValidationError as error:
        said = [f"{validation.place(fault)}: {validation.say(fault)}" for fault in validation.faults(error)]
        raise SettingsError.of(f"{what} can't be used", said) from None


def read(path: Path) -> Configuration:
    """Read a strategies file. Raises SettingsError, one message with every fault."""
    try:
        return check(toml_file.read(path, "strategies file"), str(path))
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply") from None
