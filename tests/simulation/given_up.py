"""Which events ingest has given up, because no worker survived them."""

from collections import Counter
from collections.abc import Sequence

from tasks.events import AnyEvent
from tasks.protocol import dead_letters, records
from tasks.protocol.batches import MAX_STARTS_OF_AN_EVENT, Batch
from tests.simulation.invariants import Violation
from tests.simulation.servers.lua import decode_msgpack


class GivenUp:
    """Counts the runs of each event, and takes note of what ingest commits."""

    def __init__(self) -> None:
        #: By pool, field of the record and the exchange's id; also what was run after all, once Redis had gone back.
        self.events = set[tuple[str, str, int]]()
        #: How many runs of each event workers began, by pool and number.
        self._runs = Counter[tuple[str, int]]()

    def on_run(self, carried: Sequence[Batch[AnyEvent]]) -> None:
        """Count the events of a task that a worker begins."""
        self._runs.update((batch.pool, event.seq) for batch in carried for event in batch.events)

    def on_commit(self, packed: bytes, answers: Sequence[bytes]) -> None:
        """Note what ingest gave `commit.lua`, and what that answers. Raises Violation: an event had runs left."""
        for parts, answer in zip(decode_msgpack(packed), answers, strict=True):
            if answer != b"committed":
                continue
            pool, event = parts[4].decode().partition("|")[0], dead_letters.unpack(parts[9][0]).event
            assert event
            if (runs := self._runs[pool, event.seq]) < MAX_STARTS_OF_AN_EVENT:
                raise Violation(f"{pool} gives up {records.field(event)} {event.id} after {runs} runs")
            self.events.add((pool, records.field(event), event.id))
