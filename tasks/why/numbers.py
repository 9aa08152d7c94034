"""The numbers of a decision, each with the threshold that it was compared with. Pure."""

from collections.abc import Mapping
from operator import ge, gt, le, lt

import msgspec

#: By the end of a name: the sign of the comparison, and the comparison.
_RELATIONS = {"_at_least": (">=", ge), "_at_most": ("<=", le), "_above": (">", gt), "_below": ("<", lt)}


class DecisionNumber(msgspec.Struct, frozen=True):
    """One number, and what it was compared with, if that is known."""

    name: str
    value: float
    sign: str = ""
    threshold: float | None = None
    #: Whether the comparison holds.
    met: bool | None = None


def paired(values: Mapping[str, float]) -> list[DecisionNumber]:
    """Return the numbers of `Strategy.explain`, thresholds beside what they are thresholds of.

    A number with two thresholds comes twice; a threshold without its number is a number like any other.
    """
    bounds: dict[str, list[tuple[str, str]]] = {}
    for name in values:
        end = next((end for end in _RELATIONS if name.endswith(end)), "")
        if end and name.removesuffix(end) in values:
            bounds.setdefault(name.removesuffix(end), []).append((name, end))
    thresholds = {name for found in bounds.values() for name, _ in found}
    return [
        each for name in values if name not in thresholds for each in _with_bounds(name, values, bounds.get(name, []))
    ]


def _with_bounds(name: str, values: Mapping[str, float], bounds: list[tuple[str, str]]) -> list[DecisionNumber]:
    value = values[name]
    if not bounds:
        return [DecisionNumber(name, value)]
    compared = []
    for bound, end in bounds:
        sign, holds = _RELATIONS[end]
        compared.append(DecisionNumber(name, value, sign, values[bound], bool(holds(value, values[bound]))))
    return compared
