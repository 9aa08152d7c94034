"""The fate of every event: read from the witnesses' records, in the order in which it was committed."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks import backtest, configuration
from tasks.history import recordings
from tasks.ledger.reader import LedgerReader
from tasks.protocol import dead_letters as dead_letter
from tasks.protocol.celery_codec import CONTENT_TYPE
from tasks.protocol.dead_letters import DeadLetter
from tests.faults.rig import STRATEGIES

#: In each task of ours, and in no junk.
OURS = CONTENT_TYPE.encode()


class Event(NamedTuple):
    """An event of a record."""

    record: str
    id: int


class _Trigger(msgspec.Struct):
    venue: str
    symbol: str
    kind: str
    id: int


class _WitnessedSignal(msgspec.Struct):
    strategy: str
    trigger: _Trigger


_decode = msgspec.json.Decoder(_WitnessedSignal).decode


def _witnessed(signals: Sequence[bytes]) -> list[Event]:
    said = [_decode(packed) for packed in signals]
    return [
        Event(f"{each.trigger.venue}:{each.trigger.symbol}:{each.trigger.kind}", each.trigger.id)
        for each in said
        if each.strategy.endswith("_witness")
    ]


def applied(reader: LedgerReader) -> list[Event]:
    """Return what the ledger says was applied, in order."""
    return _witnessed(list(reader.signals()))


def dead_letters(reader: LedgerReader) -> list[DeadLetter]:
    """Return the dead letters, but for the junk that a fault puts into the queue."""
    letters = (dead_letter.unpack(packed) for _, packed in reader.entries(reader.keys.deadletters, b"letter"))
    return [letter for letter in letters if letter.refusal != dead_letter.QUEUE_ENTRY or OURS in letter.raw]


class Expected(NamedTuple):
    """What one process makes of the recordings."""

    digest: str
    positions_digest: str
    events: tuple[Event, ...]


@lru_cache
def expected(files: tuple[Path, ...]) -> Expected:
    """Run the backtest."""
    test = backtest.Backtest(configuration.read(STRATEGIES))
    result = test.run(recordings.merge(files))
    return Expected(result.digest, result.positions_digest, tuple(_witnessed(test.ledger.signals)))


def repeated(events: Sequence[Event]) -> int:
    """Return how often an event was applied once more."""
    return sum(count - 1 for count in Counter(events).values())


def out_of_order(events: Sequence[Event], right: Sequence[Event]) -> int:
    """Return how often an event came before one that it should have followed, record by record."""
    places = {event: place for place, event in enumerate(right)}
    last: dict[str, int] = defaultdict(lambda: -1)
    count = 0
    for event in events:
        count += places[event] < last[event.record]
        last[event.record] = places[event]
    return count


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    fault: str
    mode: str
    #: How often the fault happened.
    times: int
    #: Never applied.
    lost: int
    repeated: int
    out_of_order: int
    #: Applied, and gone with the data that Redis lost.
    forgotten: int
    #: The same, but applied again, as new.
    again: int
    #: The longest time from a fault's end until latency was normal.
    recovery_s: float
    resends: int
    fenced: int


def table(rows: Sequence[Row]) -> list[str]:
    """Return the rows as aligned text."""
    names = Row.__struct_fields__
    cells = [[name.replace("_", " ") for name in names]]
    cells += [
        [f"{value:.1f}" if isinstance(value, float) else str(value) for value in msgspec.structs.astuple(row)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
