"""All parameter sets that a sweep may try of one strategy: counted, in order, or by chance.

Pure, with randomness as an argument.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from random import Random
from typing import Any

import msgspec

from tasks.sweep.parameter_set import ParameterSet
from tasks.sweep.space.dimensions import Dimension

#: Up to so many sets a random search goes through all of them in a shuffled order, so that it finds the last one too.
SHUFFLED_SETS = 200_000
#: So many draws in a row that give nothing new end a random search of more sets than that.
MAX_DRAWS = 50_000


class ParameterSpace(msgspec.Struct, frozen=True):
    """The product of dimensions, each a parameter."""

    strategy: str
    dimensions: tuple[Dimension, ...]

    @property
    def size(self) -> int | None:
        """How many sets there are, none of which is made; None: too many to be counted."""
        counts = [each.count for each in self.dimensions]
        return None if None in counts else math.prod(count for count in counts if count is not None)

    def grid(self) -> Iterator[ParameterSet]:
        """Yield all sets, the last parameter changing fastest. Only for a space that has a size."""
        names = [each.name for each in self.dimensions]
        for values in product(*map(_values, self.dimensions)):
            yield ParameterSet(self.strategy, dict(zip(names, values, strict=True)))

    def sample(self, samples: int, accepts: Callable[[ParameterSet], bool], dice: Random) -> list[ParameterSet]:
        """Return up to `samples` different sets that are accepted, in the order of their drawing.

        Fewer: there are no more; or, in a space of more than `SHUFFLED_SETS`, `MAX_DRAWS` in a row found none.
        A search for more begins with the same sets.
        """
        found: dict[bytes, ParameterSet] = {}
        misses = 0
        is_small = self.size is not None and self.size <= SHUFFLED_SETS
        for drawn in self._shuffled(dice) if is_small else self._drawn(dice):
            key = drawn.canonical()
            if key not in found and accepts(drawn):
                found[key], misses = drawn, 0
            else:
                misses += 1
            if len(found) == samples or (not is_small and misses == MAX_DRAWS):
                break
        return list(found.values())

    def _shuffled(self, dice: Random) -> Iterator[ParameterSet]:
        sets = list(self.grid())
        dice.shuffle(sets)
        yield from sets

    def _drawn(self, dice: Random) -> Iterator[ParameterSet]:
        while True:
            yield ParameterSet(self.strategy, {each.name: each.draw(dice) for each in self.dimensions})


def _values(dimension: Dimension) -> list[Any]:
    return [dimension.at(index) for index in range(dimension.count or 0)]
