"""What others took of the machine while something was measured, and measuring it again where that was much."""

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec
import psutil

#: A part of the machine's CPU time, from 0 to 1: more than this taken by others disturbs a figure.
DISTURBED = 0.05
#: How often something is measured at most, until others leave the machine alone.
TRIES = 3

T = TypeVar("T")
#: Is told what was measured.
Say = Callable[[str], None]


class Noise(msgspec.Struct, frozen=True):
    """Parts of the machine's CPU time, from 0 to 1, while something was measured."""

    #: Taken by other guests of the same host.
    steal: float = 0.0
    #: Used by processes that are not part of the benchmark.
    foreign: float = 0.0

    @property
    def total(self) -> float:
        """What others took in all."""
        return self.steal + self.foreign

    def __str__(self) -> str:
        return f"steal {self.steal:.1%}, other processes {self.foreign:.1%}"


class NoiseMeter:
    """Reads the machine's clocks at the start, to be compared with those at the end."""

    def __init__(self, read: Callable[[], Any] = psutil.cpu_times) -> None:
        self._read = read
        self._before, self._own_s = read(), _own_s()

    def noise(self, used_s: float) -> Noise:
        """Return the noise since the start; `used_s` is the CPU time of the benchmark's running processes since then.

        This process's own, with that of children that have ended, is added to it.
        """
        now = self._read()
        passed = {name: getattr(now, name) - getattr(self._before, name) for name in now._fields}
        # What guests of this machine use is part of `user` too.
        all_s = sum(passed.values()) - passed.get("guest", 0.0) - passed.get("guest_nice", 0.0)
        if all_s <= 0:
            return Noise()
        steal_s = passed.get("steal", 0.0)
        busy_s = all_s - steal_s - passed["idle"] - passed.get("iowait", 0.0)
        foreign_s = max(0.0, busy_s - used_s - (_own_s() - self._own_s))
        return Noise(round(steal_s / all_s, 4), round(foreign_s / all_s, 4))


class RoundRatio(NamedTuple):
    """Of two runs of one round, and what others took of the machine meanwhile."""

    ratio: float
    noise: Noise

    def __str__(self) -> str:
        return f"a ratio of {self.ratio:.3f}"


def most(noises: Iterable[Noise | None]) -> Noise:
    """Return the one with which others took most of the machine; none, if nothing was measured."""
    return max((noise or Noise() for noise in noises), key=lambda noise: noise.total, default=Noise())


def _own_s() -> float:
    return sum(os.times()[:4])


def undisturbed(measure: Callable[[], T], noise_of: Callable[[T], Noise | None], say: Say) -> T:
    """Measure until others leave the machine alone, three times at most; return the least disturbed one.

    What has no noise was not disturbed.
    """
    found: list[tuple[Noise, T]] = []
    for _ in range(TRIES):
        measured = measure()
        noise = noise_of(measured) or Noise()
        found.append((noise, measured))
        if noise.total <= DISTURBED:
            break
        say(f"disturbed ({noise}): {measured}")
    return min(found, key=lambda each: each[0].total)[1]
