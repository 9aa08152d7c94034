"""Ids of a stream's entries where several ledgers have a part of it each. Pure.

An entry of the first ledger has the id that Redis gave it, `ms-seq`; one of another has its number behind that:
`ms-seq.2`. So no two are equal, and all are in one order: by time, number, and ledger.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

#: What an id matches.
PATTERN = r"\d{1,20}-\d{1,20}(\.[1-9]\d?)?"
_ID = re.compile(PATTERN)
#: Redis gives no entry this id.
NONE = "0-0"
_NONE = re.compile(r"0+-0+")


class EntryId(NamedTuple):
    """An id, in the order of the entries."""

    #: When the entry was written: unix milliseconds, by the clock of its ledger.
    ms: int
    #: Its number in this millisecond.
    seq: int
    #: The ledger that holds it, from 0.
    ledger: int = 0

    @classmethod
    def parse(cls, text: str) -> "EntryId":
        """Read an id. Raises ValueError: it is none."""
        if not is_id(text):
            raise ValueError(f"{text[:60]!r} is no id of an entry")
        stored, _, ledger = text.partition(".")
        ms, _, seq = stored.partition("-")
        return cls(int(ms), int(seq), int(ledger or 0))

    @property
    def stored(self) -> str:
        """The id in its ledger."""
        return f"{self.ms}-{self.seq}"

    def __str__(self) -> str:
        """Return the id."""
        return name_of(self.stored, self.ledger)


def is_id(text: str) -> bool:
    """Return whether a text is an id, of whichever ledger."""
    return bool(_ID.fullmatch(text))


def name_of(stored: str, ledger: int) -> str:
    """Return the id of an entry that a ledger holds under the id `stored`."""
    return f"{stored}.{ledger}" if ledger else stored


def bound_in(bound: str, ledger: int, *, is_start: bool) -> str:
    """Return a bound of all entries as a bound of those of one ledger.

    A bound is `-`, `+`, a time, or an id, which is excluded where it begins with a parenthesis.
    """
    name = bound.removeprefix("(")
    if not is_id(name):
        return bound
    stored, _, of = name.partition(".")
    of_ledger = int(of or 0)
    is_excluded = bound != name if of_ledger == ledger else (ledger < of_ledger) == is_start
    # Before the first id that there can be Redis takes no end.
    if of_ledger != ledger and not is_start and _NONE.fullmatch(stored):
        is_excluded = False
    return f"({stored}" if is_excluded else stored


def by_ledger(names: Iterable[str]) -> dict[int, list[str]]:
    """Return ids by the ledgers that hold them, as these know them. Raises ValueError: one is no id."""
    found: dict[int, list[str]] = {}
    for each in map(EntryId.parse, names):
        found.setdefault(each.ledger, []).append(each.stored)
    return found
