"""Writes into the ledger what ingest itself knows: the frontier, its counters, the frames it refused."""

from ingest.counters import Counted, Counters
from ingest.lanes import Lanes
from ingest.ledger import Checkpoint, IngestLedger
from ingest.refused_frames import RefusedFrames
from ingest.sources.base import Source
from tasks.events import Position
from tasks.protocol.batches import Epoch


class Checkpoints:
    """Writes one checkpoint at a time, each until it is known to be stored: so everything is counted exactly once."""

    def __init__(
        self, ledger: IngestLedger, lanes: Lanes, counters: Counters, refused: RefusedFrames, source: Source
    ) -> None:
        self._ledger, self._lanes, self._counters, self._refused = ledger, lanes, counters, refused
        self._source = source
        self._pending: Checkpoint | None = None
        self._number = 0

    @property
    def left(self) -> bool:
        """Whether there is something that the ledger does not know yet."""
        return bool(self._pending or self._counters.unwritten or self._refused.letters)

    async def write(self, epoch: Epoch) -> bool:
        """Write a checkpoint; return whether the ledger is as we know it, so that it could.

        Raises what Redis raises.
        """
        source = self._lanes.source
        if self._pending is None:
            self._number += 1
            letters = tuple(self._refused.letters)
            self._refused.letters.clear()
            # While frames are read again, those after them are counted already.
            counted = Position(source, max(self._lanes.last_seq, self._counters.counted))
            name = f"{epoch}#{self._number}"
            self._pending = Checkpoint(name, letters, self._counters.take_unwritten(), counted, self._source.read)
        written = self._pending
        frontier, stand = Position(source, self._lanes.frontier), {lane.id: lane.prev for lane in self._lanes}
        if not await self._ledger.checkpoint(epoch, frontier, written, stand):
            return False
        if self._pending is written:
            self._pending = None
        return True

    def forget(self, counted: Counted) -> None:
        """Count again from the frame after `counted`: a source is read again from further back."""
        self._pending = None
        self._refused.letters.clear()
        self._counters.restart(counted)
