"""Removes the states of a strategy, pool by pool, while the pipeline runs."""

from collections.abc import Sequence
from itertools import groupby

from tasks.errors import NotFoundError
from tasks.ops.states import StateField, StateFilter, StateReset, StateStore


def found_states(states: StateStore, chosen: StateFilter) -> list[StateField]:
    """Return the states that can be removed, sorted by pool. Raises NotFoundError: there is none."""
    found = sorted(each.name for each in states.find(chosen))
    # A symbol that is spelled as it was typed is the one that is meant.
    names = [name for name in found if name.symbol == chosen.symbol] or found
    if not names:
        raise NotFoundError(
            f"there is no such state of {chosen.strategy!r}; `./run tasks state show` lists those that there are"
        )
    return names


def removed_states(
    states: StateStore, names: Sequence[StateField], chosen: StateFilter, author: str, reason: str
) -> dict[str, int]:
    """Remove the states that `found_states` returned; return how many there were, by pool."""
    named = names[0].symbol if chosen.symbol else ""
    removed: dict[str, int] = {}
    for pool, of_pool in groupby(names, lambda name: name.pool):
        reset = StateReset(pool, names[0].what, chosen.venue, named, author, reason)
        removed[pool] = states.reset(reset, list(of_pool))
    return removed
