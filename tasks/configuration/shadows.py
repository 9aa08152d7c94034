"""Shadows: second versions of strategies, run beside them without emitting. What a file may say of them. Pure.

Each version keeps its own name, state and paper account, whichever of them emits. The signals of both carry the name of
their class, so those of the same code with other parameters are named alike, whoever emits.
"""

import difflib
from collections.abc import Iterator

from tasks.configuration.model import SHADOW, Configuration, PoolConfiguration
from tasks.configuration.overlay import Overlay, RuntimeValue
from tasks.errors import SettingsError

#: What is in the table of a shadow that says whether its signals go out.
EMITS = "emits"


def misplaced(configuration: Configuration, pool_name: str) -> Iterator[str]:
    """Yield the faults of a pool's shadows in what they shadow and who emits."""
    pool = configuration.pools[pool_name]
    for name, chosen in sorted(pool.shadow.items()):
        if chosen.of not in pool.strategies:
            yield f"{SHADOW}{name}: {_missing(configuration, pool_name, chosen.of)}"
    for original in sorted(pool.strategies):
        emitting = sorted(name for name, each in pool.shadow.items() if each.emits and each.of == original)
        if len(emitting) > 1:
            yield f"{original}: several of its shadows emit: {', '.join(emitting)}"


def _missing(configuration: Configuration, pool_name: str, of: str) -> str:
    """Return why there is no such strategy to shadow."""
    pool = configuration.pools[pool_name]
    if of.removeprefix(SHADOW) in pool.shadow:
        return f"shadows {of!r}, which is a shadow itself"
    elsewhere = [name for name, other in configuration.pools.items() if of in other.strategies]
    if elsewhere:
        return f"shadows {of!r}, which runs in pool {elsewhere[0]}: a shadow stands in the pool of its original"
    close = difflib.get_close_matches(of, pool.strategies, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the pool has {', '.join(sorted(pool.strategies))}"
    return f"shadows {of!r}, and there is no such strategy in the pool; {hint}"


def promoted(configuration: Configuration, name: str) -> Overlay:
    """Return the values with which a version emits and the others of its original do not, in every pool that has it.

    `name` is that of a shadow, behind `SHADOW`, or of an original, which then emits again. Raises SettingsError: the
    version is switched off, or has no other version.
    """
    values: list[RuntimeValue] = []
    for pool_name, pool in configuration.pools.items():
        if name in pool.versions():
            if configuration.gate_of(pool_name, name).off:
                raise SettingsError(f"{name} is switched off: `./run tasks strategies resume {name}` runs it again")
            values += _roles(pool_name, pool, name)
    if not values:
        raise SettingsError(f"{name} has no shadow, and is none: there is nothing to promote")
    return tuple(values)


def _roles(pool_name: str, pool: PoolConfiguration, name: str) -> Iterator[RuntimeValue]:
    shadow = pool.shadow.get(name.removeprefix(SHADOW)) if name.startswith(SHADOW) else None
    original = shadow.of if shadow else name
    for other, each in sorted(pool.shadow.items()):
        if each.of == original:
            version = f"{SHADOW}{other}"
            yield RuntimeValue(version, pool_name, "", EMITS, version == name or None)
