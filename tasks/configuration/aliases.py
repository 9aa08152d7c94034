"""Aliases: names by which other systems know strategies. What a file may say of them, and how the ledger keeps them. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

import msgspec

from tasks.configuration.model import SHADOW, Configuration
from tasks.errors import UNREADABLE, LedgerError


class AliasedStrategy(msgspec.Struct, frozen=True):
    """A strategy that has an alias."""

    #: As the file names it.
    strategy: str
    #: The names that its signals can carry: its own, and those of shadows that may emit for it.
    signals: tuple[str, ...]


#: By alias.
Aliases = Mapping[str, AliasedStrategy]
#: From a strategy's name in the file to the name that its signals carry; nothing where it can't be imported.
SignalName = Callable[[str], str]
_decode = msgspec.json.Decoder(dict[str, AliasedStrategy]).decode


def by_strategy(configuration: Configuration) -> dict[str, str]:
    """Return the alias of each strategy that has one, by its name in the file."""
    return {name: alias for name, alias in _stated(configuration) if alias}


def replaced(configuration: Configuration, key: str) -> str:
    """Return a key, `skew` or `skew.levels`, with the strategy's name in the file in place of its alias."""
    alias, dot, within = key.partition(".")
    names = {each: name for name, each in by_strategy(configuration).items()}
    return f"{names.get(alias, alias)}{dot}{within}"


def of_configuration(configuration: Configuration, signal_name: SignalName) -> dict[str, AliasedStrategy]:
    """Return the aliases of a configuration."""
    return {
        alias: AliasedStrategy(name, _signals(configuration, name, signal_name))
        for name, alias in sorted(by_strategy(configuration).items())
    }


def pack(aliases: Aliases) -> bytes:
    """Return what the ledger keeps of aliases; nothing where there are none."""
    return msgspec.json.encode(aliases, order="sorted") if aliases else b""


def unpack(packed: bytes) -> dict[str, AliasedStrategy]:
    """Return the aliases that the ledger keeps. Raises LedgerError: they can't be read."""
    try:
        return _decode(packed) if packed else {}
    except UNREADABLE as error:
        raise LedgerError(f"the ledger's aliases can't be read: {error}; ingest writes them when it starts") from None


def restored(packed: bytes, *configurations: Configuration) -> tuple[Configuration, ...]:
    """Return configurations that the ledger keeps, with its aliases; without, where they can't be read: a kill needs none."""
    named: Aliases = {}
    with suppress(LedgerError):
        named = unpack(packed)
    return tuple(applied(each, named) for each in configurations)


def applied(configuration: Configuration, aliases: Aliases) -> Configuration:
    """Return the configuration with these aliases and no others: what the ledger keeps under a version has none."""
    named = {each.strategy: alias for alias, each in aliases.items()}
    pools = {
        pool_name: pool.model_copy(
            update={
                "strategies": {
                    name: chosen.model_copy(update={"alias": named.get(name, "")})
                    for name, chosen in pool.strategies.items()
                }
            }
        )
        for pool_name, pool in configuration.pools.items()
    }
    return configuration.model_copy(update={"pools": pools})


def misfits(configuration: Configuration, reserved: Iterable[str], signal_name: SignalName) -> Iterator[str]:
    """Yield why aliases can't be told from each other or from names; `reserved` are names beside those of the file."""
    own = {
        name: signal_name(name.removeprefix(SHADOW))
        for pool in configuration.pools.values()
        for name in pool.versions()
    }
    taken = {*reserved, *own, *own.values(), *configuration.pools}
    strategies: dict[str, set[str]] = {}
    aliases: dict[str, set[str]] = {}
    for name, alias in _stated(configuration):
        if alias:
            strategies.setdefault(alias, set()).add(name)
            aliases.setdefault(name, set()).add(alias)
    for alias, names in sorted(strategies.items()):
        if alias in taken:
            yield f"{', '.join(sorted(names))}: alias {alias!r} is a name already: choose another"
        if len(names) > 1:
            yield f"alias {alias!r} is that of several strategies: {', '.join(sorted(names))}"
    for name, several in sorted(aliases.items()):
        if len(several) > 1:
            yield f"{name}: has several aliases: {', '.join(sorted(several))}"


def _stated(configuration: Configuration) -> Iterator[tuple[str, str]]:
    for pool in configuration.pools.values():
        yield from ((name, chosen.alias) for name, chosen in sorted(pool.strategies.items()))


def _signals(configuration: Configuration, name: str, signal_name: SignalName) -> tuple[str, ...]:
    shadows = (
        other for pool in configuration.pools.values() for other, each in sorted(pool.shadow.items()) if each.of == name
    )
    return tuple(dict.fromkeys(filter(None, map(signal_name, (name, *shadows)))))
