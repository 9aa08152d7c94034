"""Looks a signal up by its id: among what was committed, what gates held back, or in a file of a backtest."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tasks.errors import SettingsError
from tasks.ledger import pager
from tasks.ledger.reader import LedgerReader
from tasks.why.comparison import unpack_held
from tasks.why.question import Question


class SearchBounds(NamedTuple):
    """Where a signal is looked for in each stream, from the newest on."""

    #: The last entry that is looked at first.
    until: str = "+"
    #: How many are; None: all.
    entries: int | None = None


EVERYWHERE = SearchBounds()


def in_ledger(reader: LedgerReader, identity: str, bounds: SearchBounds = EVERYWHERE) -> Question | None:
    """Return a signal of this namespace; None: neither stream holds it. The newest is looked at first."""
    for packed, at_ms in _holding(reader, reader.keys.signals, b"signal", identity, bounds):
        question = Question.of(packed, "sent", committed_ms=at_ms)
        if question.head.id == identity:
            return question
    for packed, at_ms in _holding(reader, reader.keys.held, b"held", identity, bounds):
        held = unpack_held(packed)
        question = Question.of(held.packed, "held", held.held, at_ms)
        if question.head.id == identity:
            return question
    return None


def _holding(
    reader: LedgerReader, stream: str, field: bytes, identity: str, bounds: SearchBounds
) -> Iterator[tuple[bytes, int]]:
    """Yield the entries in which the id stands somewhere, each with its time; reading all others would take seconds."""
    sought = identity.encode()
    entries = pager.entries(reader.clients, stream, end=bounds.until, backwards=True)
    for name, fields in islice(entries, bounds.entries):
        packed = fields.get(field, b"")
        if sought in packed:
            yield packed, int(name.partition("-")[0])


def in_file(path: Path, identity: str) -> Question | None:
    """Return a signal of a file as `backtest --signals` and `signals --json` write it; None: it is not there.

    Raises SettingsError: the file can't be read; LedgerError: the line is no signal.
    """
    sought = identity.encode()
    try:
        with path.open("rb") as file:
            for line in file:
                if sought in line and (question := Question.of(line.rstrip(b"\r\n"), "written")).head.id == identity:
                    return question
    except OSError as error:
        raise SettingsError(f"can't read {path}: {error.strerror or error}") from None
    return None
