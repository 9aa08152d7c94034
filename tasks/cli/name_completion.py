"""Names that a shell offers where a command takes one. Never an error, and never a wait for Redis that anybody would notice."""

from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from tasks.configuration import registry, toml_file
from tasks.configuration.overlay import ALL
from tasks.settings import load

#: So long Redis is waited for.
LIMIT_S = 0.4
#: Shells take it for the end of a word, so import paths are not offered.
_COLON = ":"


def strategies(incomplete: str) -> list[str]:
    """Return the strategies that begin so: built in, of the strategies file with aliases, and those that ever ran."""
    return _beginning(incomplete, _strategies())


def strategies_or_all(incomplete: str) -> list[str]:
    """Return the same, and the word for all of them."""
    return _beginning(incomplete, [ALL, *_strategies()])


def pools_and_strategies(incomplete: str) -> list[str]:
    """Return the same, and the pools of the strategies file."""
    return _beginning(incomplete, [ALL, *_tables(), *_strategies()])


def symbols(incomplete: str) -> list[str]:
    """Return the symbols of which an event was ever given to a strategy that begin so."""
    return _beginning(incomplete, within(LIMIT_S, known_symbols))


def known_strategies() -> Iterable[str]:
    """Return the name of every strategy that was ever given an event. Raises what Redis raises, and SettingsError."""
    from tasks.ledger.reader import LedgerReader  # noqa: PLC0415 nothing else here needs Redis's client

    return LedgerReader(load()).counters().by_label("strategy_events")


def known_symbols() -> Iterable[str]:
    """Return every symbol that the ledger knows. Raises what Redis raises, and SettingsError."""
    from tasks.ledger.reader import LedgerReader  # noqa: PLC0415 nothing else here needs Redis's client

    return LedgerReader(load()).symbols()


def within(limit_s: float, find: Callable[[], Iterable[str]]) -> list[str]:
    """Return what is found within a time; nothing where that takes longer, or fails."""
    found = SimpleQueue[list[str]]()
    Thread(target=lambda: found.put(_or_none(find)), daemon=True).start()
    try:
        return found.get(timeout=limit_s)
    except Empty:
        return []


def _or_none(find: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return list(find())
    except BaseException:  # noqa: BLE001 a shell has no place for an error, whatever it is
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete) and _COLON not in name})


def _strategies() -> Iterator[str]:
    yield from registry.builtin_names()
    for pool in _tables().values():
        chosen = pool.get("strategies") if isinstance(pool, dict) else None
        for name, table in chosen.items() if isinstance(chosen, dict) else ():
            yield name
            alias = table.get("alias") if isinstance(table, dict) else None
            if isinstance(alias, str) and alias:
                yield alias
    # Of one's own strategy the file has an import path; its name is known without importing it once it has run.
    yield from within(LIMIT_S, known_strategies)


def _tables() -> dict[str, Any]:
    """Return the tables of the pools, none where there is no such file. It is not checked: that would import strategies."""
    try:
        pools = toml_file.read(load().strategies_file, "strategies file").get("pools")
    except Exception:  # noqa: BLE001 a shell has no place for an error, whatever it is
        return {}
    return pools if isinstance(pools, dict) else {}
