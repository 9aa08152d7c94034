"""Changes at run time: values that lie over the strategies file, and stay when it is edited. Pure.

A value belongs to the strategy, not to the pool that it ran in when it was set, unless only one pool was asked for: a
strategy that was killed stays so in a pool that was renamed. A value that finds nothing to lie over, or that does not
fit what the file has become, is kept, not used, and told; the file's is used then, for this key only.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from tasks.configuration.gate import Gate
from tasks.configuration.model import SHADOW, Configuration, check
from tasks.errors import SettingsError

#: Stands for all strategies; only gates and the terms of the paper account can be set for all.
ALL = "all"
_GATE = "gate."
_PAPER = "paper."
_IN_POOL = re.compile(r"pools\.(?P<pool>\w+)\.strategies\.")
_TABLES = ("gate", "paper", "symbols")


class RuntimeValue(msgspec.Struct, frozen=True):
    """One value that was set at run time."""

    #: As the file names it, a shadow behind `SHADOW`; `all`; empty where the value is the pool's own.
    strategy: str
    #: Only in this pool; empty: wherever the strategy runs.
    pool: str
    #: Only for this symbol; empty: for all.
    symbol: str
    #: "levels", "gate.killed", "paused".
    key: str
    #: None: the default, whatever the file has.
    value: Any = None
    #: The file's values when it was set, each once; None: no value, so the default.
    file: tuple[Any, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        """The path of the key in the table of its strategy, its pool, or the file."""
        return (("symbols", self.symbol) if self.symbol else ()) + tuple(self.key.split("."))

    @property
    def label(self) -> str:
        """The name of it for `strategies reset`: `orderbook_skew.levels`."""
        within = ".".join(self.path)
        if not self.strategy:
            return f"pools.{self.pool}.{within}"
        where = f"pools.{self.pool}.strategies." if self.pool else ""
        return f"{where}{self.strategy}.{within}"

    @property
    def is_switch(self) -> bool:
        """Whether it belongs to a gate, a pool or the paper account, so that no strategy has to accept it."""
        return self.key.startswith((_GATE, _PAPER)) or not self.strategy

    def named(self, key: str, signal_name: str) -> bool:
        """Whether `key` is its label, with either name of the strategy, its path in the file, or a prefix of them."""
        within = ".".join(self.path)
        labels = {self.label} if not self.strategy else {f"{name}.{within}" for name in (self.strategy, signal_name)}
        if self.strategy == ALL:
            labels.add(within)
        standing = _IN_POOL.match(key)
        if standing and self.pool in {"", standing["pool"]}:
            key = key[standing.end() :]
        return any(label == key or label.startswith(f"{key}.") for label in labels)

    def __str__(self) -> str:
        """Return what it is, for a person."""
        return f"{self.label}: {format_value(self.value)}"

    def replaces(self, other: "RuntimeValue") -> bool:
        """Whether nothing of `other` is left once this is set."""
        same = (self.strategy, self.symbol) == (other.strategy, other.symbol)
        within = other.key == self.key or other.key.startswith(f"{self.key}.")
        return same and within and self.pool in {"", other.pool}


Overlay = tuple[RuntimeValue, ...]


class UnusedValue(NamedTuple):
    """A value that is stored but not used, and why."""

    value: RuntimeValue
    why: str


class MergedConfiguration(NamedTuple):
    """A strategies file with an overlay over it, and the values that do not fit."""

    configuration: Configuration
    unused: tuple[UnusedValue, ...]


def format_value(value: Any) -> str:
    """Return a value; None is the default."""
    return "default" if value is None else str(value)


def of_strategy(name: str, values: dict[str, Any], pool: str = "", symbol: str = "") -> Overlay:
    """Return assignments (`gate.X` is the gate's X) as values of a strategy, or of `all`. Raises SettingsError."""
    if name == ALL and (symbol or pool or not all(key.startswith((_GATE, _PAPER)) for key in values)):
        raise SettingsError(
            "for all strategies only gates and the paper account can be set: gate.killed=true, paper.latency_ms=80"
        )
    return tuple(_of_strategy(name, key, value, pool, symbol) for key, value in values.items())


def _of_strategy(name: str, key: str, value: Any, pool: str, symbol: str) -> RuntimeValue:
    if key.startswith("symbols.") and key.count(".") > 1:
        # A symbol may hold dots, the name of a parameter none.
        within, dot, term = key.removeprefix("symbols.").partition(f".{_PAPER}")
        symbol, key = (within, f"{_PAPER}{term}") if dot else _last_apart(within)
    if key in _TABLES or key.startswith("symbols."):
        raise SettingsError(f"{key} is a table: set what is in it, such as gate.killed=true or levels=5 for a symbol")
    if key.startswith(_GATE):
        if symbol:
            raise SettingsError(f"{key} holds for all symbols: set it without one")
        return RuntimeValue(name, pool, "", key, _but_default(key, value))
    return RuntimeValue(name, pool, symbol, key, value)


def _last_apart(path: str) -> tuple[str, str]:
    before, _, last = path.rpartition(".")
    return before, last


def _but_default(key: str, value: Any) -> Any:
    field = Gate.model_fields.get(key.removeprefix(_GATE))
    return None if field and value == field.default else value


def of_pool(pool: str, *, paused: bool) -> Overlay:
    """Return the value that pauses a pool, or lets it go on."""
    return (RuntimeValue("", pool, "", "paused", paused or None),)


def applied(configuration: Configuration, values: Iterable[RuntimeValue]) -> Configuration:
    """Return the configuration with these values in it. Raises SettingsError: one does not fit."""
    ordered = sorted(values, key=_order)
    if not ordered:
        return configuration
    tables = configuration.tables()
    for value in ordered:
        for place in _places(tables, value):
            _put(place, value)
    return check(tables, "the configuration")


def recorded(overlay: Overlay, file: Configuration, values: Iterable[RuntimeValue]) -> Overlay:
    """Return the overlay with these values set too; a value that changes nothing is left out."""
    kept = list(overlay)
    for value in values:
        kept = [each for each in kept if not value.replaces(each)]
        if any(_effective(value, at) != value.value for at in _at(applied(file, _usable(file, kept)), value)):
            kept.append(msgspec.structs.replace(value, file=_distinct(_at(file, value))))
    return tuple(sorted(kept, key=_order))


def merge(file: Configuration, overlay: Overlay, build: Callable[[Configuration], object]) -> MergedConfiguration:
    """Return the file with the overlay over it, and the runtime values that do not fit, which are left out.

    `build` raises SettingsError for a configuration that strategies refuse.

    Raises SettingsError: the file can't be used by itself.
    """
    unused = [UnusedValue(value, _nowhere(value)) for value in overlay if not _places(file.tables(), value)]
    usable = _usable(file, overlay)

    def fits(values: Iterable[RuntimeValue]) -> Configuration:
        merged = applied(file, values)
        build(merged)
        return merged

    try:
        return MergedConfiguration(fits(usable), tuple(unused))
    except SettingsError:
        fits(())
    kept: list[RuntimeValue] = []
    for _, group in groupby(usable, lambda value: value.strategy):
        unused += _fit(tuple(group), kept, fits)
    return MergedConfiguration(fits(kept), tuple(unused))


def _fit(
    group: Overlay, kept: list[RuntimeValue], fits: Callable[[Iterable[RuntimeValue]], object]
) -> Iterator[UnusedValue]:
    """Add to `kept` the values of a strategy that fit, all at once or one after the other; yield the others."""
    left, tries = list(group), [list(group)]
    why: dict[str, str] = {}
    while tries:
        candidates = tries.pop(0)
        try:
            fits([*kept, *candidates])
        except SettingsError as error:
            why |= dict.fromkeys((each.label for each in candidates), _one_line(error))
            if len(candidates) > 1:
                tries = [[each] for each in left]
        else:
            kept += candidates
            left = [each for each in left if each not in candidates]
            # What did not fit before may fit by now.
            tries = [[each] for each in left]
    yield from (UnusedValue(value, why[value.label]) for value in left)


def _one_line(error: SettingsError) -> str:
    return (error.faults or str(error).splitlines())[-1].strip()


def overtaken(file: Configuration, overlay: Overlay) -> list[tuple[RuntimeValue, tuple[Any, ...]]]:
    """Return the values whose keys have changed in the file since they were set, and the file's values now.

    A default that was written down since is a change, one that was removed is none.
    """
    found = []
    for value in overlay:
        before = value.file
        if any(_effective(value, said) is None for said in value.file):
            before = (*before, None)
        now = _distinct(_at(file, value))
        if says := tuple(each for each in now if _effective(value, each) != value.value and each not in before):
            found.append((value, says))
    return found


def _usable(file: Configuration, overlay: Iterable[RuntimeValue]) -> list[RuntimeValue]:
    tables = file.tables()
    return [value for value in overlay if _places(tables, value)]


def _order(value: RuntimeValue) -> tuple[str, ...]:
    return value.strategy, value.pool, value.symbol, value.key


def _nowhere(value: RuntimeValue) -> str:
    where = f" in a pool {value.pool!r}" if value.pool else ""
    return f"the strategies file has no {value.strategy or 'such pool'}{where if value.strategy else ''}"


def _places(tables: dict[str, Any], value: RuntimeValue) -> list[dict[str, Any]]:
    """Return the tables that a value goes into: none where the file has nothing of the kind."""
    if value.strategy == ALL:
        return [tables]
    pools = [pool for name, pool in tables["pools"].items() if value.pool in {"", name}]
    if not value.strategy:
        return pools
    table = "shadow" if value.strategy.startswith(SHADOW) else "strategies"
    name = value.strategy.removeprefix(SHADOW)
    return [pool[table][name] for pool in pools if name in pool.get(table, {})]


def _put(place: dict[str, Any], value: RuntimeValue) -> None:
    *path, last = value.path
    inner, tables = place, [place]
    for part in path:
        inner = inner.setdefault(part, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{value.label}: {part} is a value, and no table")
        tables.append(inner)
    if value.value is not None:
        inner[last] = value.value
        return
    inner.pop(last, None)
    # An empty table has no effect, but that of the paper account: it opens the account.
    for table, part in zip(reversed(tables[:-1]), reversed(path), strict=True):
        if not table[part] and part != "paper":
            del table[part]


def _effective(value: RuntimeValue, said: Any) -> Any:
    """Return what a file's value for the key comes to: None for the default, written down or not."""
    if value.key.startswith(_GATE):
        return _but_default(value.key, said)
    return said or None if not value.strategy else said


def _at(configuration: Configuration, value: RuntimeValue) -> list[Any]:
    """Return a configuration's value at each place of a value; None where it has none, so the default."""
    found = []
    for place in _places(configuration.explicit_tables(), value):
        inner: Any = place
        for part in value.path:
            inner = inner.get(part) if isinstance(inner, dict) else None
        found.append(inner)
    return found


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    distinct: list[Any] = []
    for each in values:
        if each not in distinct:
            distinct.append(each)
    return tuple(distinct)
