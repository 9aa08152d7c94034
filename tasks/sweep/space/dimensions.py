"""What a sweep tries of one parameter: values one by one, steps, or an interval. Pure, with randomness as an argument."""

import math
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import msgspec

#: Steps of an interval that chance tells apart: more digits would be noise in a table.
_RESOLUTION_DIGITS = 6


class RangeSpec(msgspec.Struct, frozen=True):
    """A range as the sweep file has it; both ends belong to it."""

    start: int | float
    end: int | float
    step: int | float | None = None
    points: int | None = None
    log: bool = False


class Choices(msgspec.Struct, frozen=True):
    """Values one by one, in the order given; each differs from the others."""

    name: str
    values: tuple[Any, ...]
    #: Numbers in order, so that neighbours are alike.
    ordered: bool = False

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.values)

    def at(self, index: int) -> Any:
        """Return the value with this number, from 0."""
        return self.values[index]

    def draw(self, dice: Random) -> Any:
        """Return one of them by chance."""
        return self.at(dice.randrange(self.count))


class Steps(msgspec.Struct, frozen=True):
    """Numbers with equal steps between, none of which is made before it is asked for."""

    name: str
    start: int | float
    step: int | float
    count: int

    def at(self, index: int) -> int | float:
        """Return the number with this index, from 0, without drift: the third step of 0.1 is 0.3."""
        if isinstance(self.start, int) and isinstance(self.step, int):
            return self.start + index * self.step
        return float(_exact(self.start) + index * _exact(self.step))

    def draw(self, dice: Random) -> int | float:
        """Return one of them by chance."""
        return self.at(dice.randrange(self.count))


class Interval(msgspec.Struct, frozen=True):
    """Any number from `low` to `high`, both included."""

    name: str
    low: int | float
    high: int | float
    #: Each factor is as likely as another, instead of each difference.
    log: bool = False
    #: Whole numbers only.
    whole: bool = False

    @property
    def count(self) -> int | None:
        """How many values there are; None: too many to be counted."""
        return int(self.high) - int(self.low) + 1 if self.whole else None

    def at(self, index: int) -> int:
        """Return the whole number with this index, from 0."""
        return int(self.low) + index

    def draw(self, dice: Random) -> int | float:
        """Return one of them by chance."""
        if self.whole and not self.log:
            return dice.randint(int(self.low), int(self.high))
        # A whole number stands for all that is rounded to it, so that the ends get their share.
        margin = 0.5 if self.whole else 0.0
        low, high = self.low - margin, self.high + margin
        drawn = math.exp(dice.uniform(math.log(low), math.log(high))) if self.log else dice.uniform(low, high)
        return self.rounded(drawn)

    def rounded(self, value: float) -> int | float:
        """Return a number of it that is as good as `value` and shorter to read: within a millionth of its width."""
        if self.whole:
            shorter: float = round(value)
        elif self.log:
            shorter = float(f"{value:.{_RESOLUTION_DIGITS}g}")
        else:
            width = self.high - self.low
            shorter = round(value, _RESOLUTION_DIGITS - math.floor(math.log10(width))) if width else value
        return min(max(shorter, self.low), self.high)


Dimension = Choices | Steps | Interval


def of_range(name: str, spec: RangeSpec, *, whole: bool, continuous: bool) -> Dimension:
    """Return what a range stands for; `whole`: the parameter takes whole numbers only.

    A range without step and points is an interval where the search is `continuous`; else it has a step of 1 if the
    parameter is whole, and raises ValueError if not.
    """
    if whole and not (float(spec.start).is_integer() and float(spec.end).is_integer()):
        raise ValueError("is a whole number: `from` and `to` must be too")
    if spec.points is not None:
        return Choices(name, _points(spec, spec.points, whole=whole), ordered=True)
    start, end = (int(spec.start), int(spec.end)) if whole else (spec.start, spec.end)
    if spec.step is None and continuous:
        return Interval(name, start, end, spec.log, whole)
    if spec.step is None and (spec.log or not whole):
        raise ValueError("a grid needs to know how far apart: give the range " + ("points" if spec.log else _SPACING))
    step = 1 if spec.step is None else spec.step
    if whole and float(step).is_integer():
        step = int(step)
    return Steps(name, start, step, math.floor((_exact(end) - _exact(start)) / _exact(step)) + 1)


_SPACING = "a step, or points"


def _points(spec: RangeSpec, points: int, *, whole: bool) -> tuple[int | float, ...]:
    """Return numbers that are equally far apart, on the scale of the range; whole ones are rounded, each once."""
    if spec.start == spec.end:
        return (spec.start,)
    between = [_at_share(spec, Fraction(index, points - 1)) for index in range(1, points - 1)]
    values = [spec.start, *between, spec.end]
    return tuple(dict.fromkeys(map(round, values) if whole else map(float, values)))


def _at_share(spec: RangeSpec, share: Fraction) -> float:
    start, end = _exact(spec.start), _exact(spec.end)
    if not spec.log:
        return float(start + (end - start) * share)
    # Decimals have the same logarithm on every machine; floats need not.
    low, high = Decimal(str(spec.start)).ln(), Decimal(str(spec.end)).ln()
    return float(f"{(low + (high - low) * share.numerator / share.denominator).exp():.15g}")


def _exact(number: float) -> Fraction:
    """Return the number as it is written: 0.1 is a tenth."""
    return Fraction(str(number))
