"""Which bars there are, by the texts that ask for them. Pure.

1s 5s 1m 15m 1h 1d     time: any whole number of seconds, minutes, hours or days that divides a day
1000tick               so many trades
50volume 0.5volume     so much of the base currency (contracts on COIN-M futures)
1000000dollar          so much of the quote currency
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import msgspec

DAY_MS = 86_400_000
Measure = Literal["time", "tick", "volume", "dollar"]

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_AMOUNTS: dict[str, Measure] = {"tick": "tick", "volume": "volume", "dollar": "dollar"}
_TEXT = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,15})?)(?P<unit>[smhd]|tick|volume|dollar)")
_HELP = "bars are a number and s, m, h, d, tick, volume or dollar: 1m, 1000tick, 50volume, 1000000dollar"


class BarSpec(msgspec.Struct, frozen=True):
    """Which bar: what is measured, and how much of it closes the bar."""

    #: As it was asked for.
    text: str
    measure: Measure
    #: Milliseconds, trades, base or quote currency; above zero.
    size: float

    @classmethod
    def parse(cls, text: str) -> "BarSpec":
        """Return the bar that a text asks for. Raises ValueError, one line: there is no such bar."""
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise ValueError(f"{text!r} is no bar; {_HELP}")
        number, unit = found["number"], found["unit"]
        size = float(number)
        if not size:
            raise ValueError(f"{text!r} is no bar: it must be above zero")
        measure = _AMOUNTS.get(unit, "time")
        if measure in {"time", "tick"} and "." in number:
            raise ValueError(f"{text!r} is no bar: {unit} takes a whole number")
        if measure == "time":
            size *= _UNITS_MS[unit]
            if DAY_MS % size:
                raise ValueError(f"{text!r} is no bar: {number}{unit} does not divide a day")
        return cls(text, measure, size)


def parse_all(texts: object) -> tuple[BarSpec, ...]:
    """Return the bars that a strategy asks for, in its order. Raises ValueError, one line: a text asks for none."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValueError(f"bars is {texts!r}; it must be a tuple of texts, such as ('1m',)")  # noqa: TRY004 reported as a wrong value
    return _parsed(tuple(texts))


@lru_cache(maxsize=1_024)
def _parsed(texts: tuple[str, ...]) -> tuple[BarSpec, ...]:
    specs = tuple(map(BarSpec.parse, texts))
    by_what: dict[tuple[Measure, float], BarSpec] = {}
    for each in specs:
        other = by_what.setdefault((each.measure, each.size), each)
        if other is not each:
            raise ValueError(f"{other.text!r} and {each.text!r} are the same bar: ask for it once")
    return specs
