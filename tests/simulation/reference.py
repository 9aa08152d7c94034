"""What one process makes of the same frames: the truth that a simulation is held to."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property, lru_cache

from tasks.engine import MemoryLedger
from tasks.events import AnyEvent
from tasks.protocol import records
from tasks.protocol.batches import split
from tasks.protocol.digest import digest
from tests.simulation import workload


class Reference:
    """The result of one process over frames. Not every simulation asks for all of it, so most is made when asked for."""

    def __init__(self, frames: Iterable[tuple[str, bytes]]) -> None:
        self._events = workload.events(frames)
        #: By field of a record: after so many events, its hash; and the record at the end.
        self.hashes: Mapping[str, Sequence[bytes]]
        self.hashes, last = _hashes(self._events)
        self.records = [(pool, name, record) for pool in workload.STRATEGIES for name, record in last.items()]

    @cached_property
    def _ledger(self) -> MemoryLedger:
        ledger = MemoryLedger("reference")
        version = workload.configuration().version
        for pool, strategies in workload.STRATEGIES.items():
            for batch in split(self._events):
                ledger.run(pool, batch, strategies, version)
        return ledger

    @cached_property
    def digest(self) -> str:
        """The digest of signals and records."""
        return digest(self._ledger.signals, self._ledger.records())

    @cached_property
    def signals(self) -> AbstractSet[bytes]:
        """The ids of all signals."""
        return {signal_id(packed) for packed in self._ledger.signals}


@lru_cache(maxsize=1_024)
def signal_id(packed: bytes) -> bytes:
    """Return the id of a signal, out of the contract's JSON. It is asked for again and again, of the same bytes."""
    return packed.split(b'"id":"', 1)[1].split(b'"', 1)[0]


def highest(frames: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, int, int]]:
    """Yield field of the record, number and id of each event whose id is above all that were published before it."""
    found: dict[str, int] = {}
    for event in workload.events(frames):
        name = records.field(event)
        if event.id > found.get(name, -1):
            found[name] = event.id
            yield name, event.seq, event.id


def _hashes(events: Iterable[AnyEvent]) -> tuple[Mapping[str, Sequence[bytes]], Mapping[str, records.Record]]:
    found: dict[str, list[bytes]] = defaultdict(lambda: [bytes(32)])
    known: dict[str, records.Record] = defaultdict(records.Record)
    for event in events:
        name = records.field(event)
        record = known[name]
        if record.classify(event, "reference") == "new":
            record.take(event, "reference")
            record.chain([event])
            found[name].append(record.hash)
    return found, known
