"""The outcome of a batch, to be committed whole or not at all. Pure."""

from collections import Counter

import msgspec

from tasks.errors import UNREADABLE
from tasks.events import AnyEvent
from tasks.protocol import dead_letters, records
from tasks.protocol.counters import CounterKey, Counts


class Outcome(msgspec.Struct):
    """The writes of one commit."""

    #: Records and states, by field name, packed.
    fields: dict[str, bytes]
    #: The contract's JSON, in the order of the events.
    signals: list[bytes]
    letters: list[bytes]
    #: One line for each record that goes on under another configuration.
    audit: list[bytes]
    #: What the commit adds to the ledger's counters.
    counts: Counts
    #: What the gate held back: JSON of reason and signal.
    held: list[bytes] = []
    #: What versions say that do not emit: see `protocol.shadowed`.
    shadowed: list[bytes] = []
    #: The version that each signal is of, as `spent_ns` names it.
    emitters: list[str] = []
    #: What the paper accounts closed: JSON of each position.
    positions: list[bytes] = []
    #: How many signals by strategy and action.
    actions: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    #: Nanoseconds that each strategy took, by name.
    spent_ns: dict[str, int] = {}
    #: The trace of each signal, as `tasks.telemetry.tracing` packs it; none while nothing is traced.
    traces: list[str] = []
    #: The revision of the strategy that each signal is of; empty where it is not known.
    revisions: list[str] = []


def quarantine(pool: str, source: str, event: AnyEvent, record: bytes | None, starts: int) -> Outcome:
    """Return what passes over one event that no worker survives: its record moves on, and it goes to the dead letters.

    `record` is the packed record of its symbol and kind, None where there is none yet; a record that has the event
    already stays as it is. One that can't be read starts from empty, which a dead letter tells as well.
    """
    letters = [dead_letters.condemned(starts, pool, event)]
    try:
        stands = records.unpack(record)
    except UNREADABLE as error:
        stands = records.unpack(None)
        letters.append(dead_letters.unreadable(records.field(event), str(error), record or b"", pool, "", event))
    if stands.classify(event, source) != "known":
        # Its runs may have ended on the event before, which it confirms.
        if before := stands.release():
            letters.append(dead_letters.condemned(starts, pool, before))
        stands.pass_over(event, source)
    return Outcome(
        {records.field(event): records.pack(stands)},
        [],
        list(map(dead_letters.pack, letters)),
        [],
        Counts({CounterKey("condemned"): sum(letter.reason == "condemned" for letter in letters)}),
    )
