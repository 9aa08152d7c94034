"""Edits of the configuration in force, each as what `ConfigurationStore.set` takes: values from what is in force."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from tasks.configuration import named_strategies, registry, shadows
from tasks.configuration.model import SHADOW, Configuration
from tasks.configuration.overlay import Overlay, of_pool
from tasks.errors import SettingsError
from tasks.frames.symbols import meant
from tasks.ledger.configurations import ConfigurationInForce, Wanted
from tasks.ledger.reader import LedgerReader

KILLED: dict[str, bool | None] = {"gate.killed": True}
REVIVED: dict[str, bool | None] = {"gate.killed": None}
PAUSED: dict[str, bool | None] = {"gate.paused": True}
#: Runs one that was switched off, too.
RESUMED: dict[str, bool | None] = {"gate.paused": None, "gate.off": None}


def of_values(
    reader: LedgerReader,
    name: str,
    assigned: dict[str, Any],
    pool: str = "",
    symbol: str = "",
    *,
    note: Callable[[str], None] | None = None,
    force: str = "--force",
) -> Wanted:
    """Return the edit that assigns values to a strategy, or to `all`.

    With `note`, a symbol has to be known: neither the ledger nor the configuration knowing it raises SettingsError, and
    `note` is called with a line where nothing has come in yet. Without, any symbol is taken; `force` is what to say for
    that.
    """

    def wanted(found: ConfigurationInForce) -> Overlay:
        seen, configured = reader.symbols() if symbol else set(), found.configuration.symbols()
        of_symbol = meant(symbol, seen | configured)
        named = named_strategies.values(found.configuration, name, assigned, pool, of_symbol)
        if of_symbol and note:
            _check_symbol(of_symbol, seen, configured, note, force)
        return named

    return wanted


def _check_symbol(symbol: str, seen: set[str], configured: set[str], note: Callable[[str], None], force: str) -> None:
    if not seen:
        note(f"nothing has come in yet: whether there is a symbol {symbol} is not known")
        return
    known = seen | configured
    if symbol in known:
        return
    close = difflib.get_close_matches(symbol, sorted(known), n=3, cutoff=0.7)
    hint = f"did you mean {' or '.join(close)}?" if close else f"{len(known):,} symbols are known;"
    raise SettingsError(f"no event of a symbol {symbol} was ever seen; {hint} {force} sets it anyway")


def of_switch(name: str, gates: dict[str, bool | None]) -> Wanted:
    """Return the edit that sets gates of a strategy, or of `all`; None takes one back to its default."""
    return lambda found: named_strategies.values(found.configuration, name, gates)


def of_pause(name: str, *, paused: bool) -> Wanted:
    """Return the edit that pauses or resumes the pool `name`, if there is one, else the strategy `name`."""

    def wanted(found: ConfigurationInForce) -> Overlay:
        if name in found.configuration.pools:
            return of_pool(name, paused=paused)
        try:
            return named_strategies.values(found.configuration, name, PAUSED if paused else RESUMED)
        except SettingsError as error:
            pools = ", ".join(found.configuration.pools)
            raise type(error)(f"there is no pool {name!r}; known: {pools}; and {error}") from None

    return wanted


def of_promotion(name: str) -> Wanted:
    """Return the edit by which a shadow emits in place of its original, or the original again."""
    return lambda found: shadows.promoted(found.configuration, _version(found.configuration, name))


def _version(chosen: Configuration, name: str) -> str:
    """Return the version that a person means: a shadow's name needs its prefix only beside an original of that name."""
    names: Iterable[str] = (name,) if name.startswith(SHADOW) else (name, f"{SHADOW}{name}")
    faults: list[SettingsError] = []
    for each in names:
        try:
            return registry.configured_name(chosen, each)
        except SettingsError as error:
            faults.append(error)
    raise faults[0]
