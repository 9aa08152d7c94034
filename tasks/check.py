"""The contract suite: what the runner's promises ask of a strategy in return, tried on any class. Pure.

    report = check(registry.find("my_package.my_module:MyStrategy"))

Each check runs the class, with its default parameters, over simulated events through the engine that also runs live.
A check says nothing of whether the strategy is any good, and where it never gives a signal, little is shown: the report
counts them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError

from tasks import engine, simulated, sourcescan
from tasks.events import AnyEvent, Depth
from tasks.strategy import AnyStrategy, Strategy

#: Bytes a state may have before its class has to say why.
MOST_STATE_BYTES = 4_096
#: A state of more than this is refused, whatever the class says.
MOST_STATE_BYTES_EXPLAINED = 65_536
_UNKNOWN = "no_strategy_has_such_a_parameter"


class Finding(NamedTuple):
    """What one check came to."""

    name: str
    passed: bool
    #: What was seen, or what is wrong; one line.
    detail: str


class Report(NamedTuple):
    """All findings on one class."""

    strategy: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(finding.passed for finding in self.findings)


class BrokenError(Exception):
    """What a check found wrong; its text becomes the finding."""


class Size(NamedTuple):
    """How much is tried."""

    #: Events of the checks on replay, cuts, repeats and warm-up.
    events: int = 6_000
    #: Event seconds between two events of a symbol on the simulated day of 50 symbols.
    day_step_s: int = 120


class Ran(NamedTuple):
    """What an engine run left behind."""

    signals: list[bytes]
    letters: int
    #: The fields of the ledger: records and states.
    held: dict[str, bytes]
