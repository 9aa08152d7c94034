"""Writes into the ledger what ingest itself knows: the frontier, its counters, the frames it refused."""

from ingest.counters import Counters
from ingest.dispatch.sender import Sender
from ingest.frame_handler import FrameHandler
from ingest.lanes import Lanes
from ingest.ledger import Checkpoint, IngestLedger
from ingest.sources.base import Source
from tasks.events import Position


class Checkpoints:
    """One at a time, each until it is known to be written: so nothing is counted twice, or not at all."""

    def __init__(
        self, ledger: IngestLedger, sender: Sender, lanes: Lanes, intake: FrameHandler, tally: Counters, source: Source
    ) -> None:
        self._ledger, self._sender, self._lanes, self._intake, self._tally = ledger, sender, lanes, intake, tally
        self._source = source
        self._pending: Checkpoint | None = None
        self._number = 0

    @property
    def left(self) -> bool:
        """Whether there is something that the ledger does not know yet."""
        return bool(self._pending or self._tally.unwritten or self._intake.letters)

    async def write(self) -> None:
        """Write a checkpoint; if the ledger is not as we know it, see why. Raises what `Sender.poll` raises."""
        source = self._lanes.source
        if self._pending is None:
            self._number += 1
            letters = tuple(self._intake.letters)
            self._intake.letters.clear()
            # While frames are read again, those after them are counted already.
            counted = Position(source, max(self._lanes.last_seq, self._intake.counted))
            name = f"{self._sender.epoch}#{self._number}"
            self._pending = Checkpoint(name, letters, self._tally.take_unwritten(), counted, self._source.read)
        written = self._pending
        frontier, stand = Position(source, self._lanes.frontier), {lane.id: lane.prev for lane in self._lanes}
        if not await self._ledger.checkpoint(self._sender.epoch, frontier, written, stand):
            await self._sender.poll(everywhere=True)
        elif self._pending is written:
            self._pending = None

    async def write_all(self) -> None:
        """Write until nothing is left. Raises what `write` raises."""
        while self.left:
            await self.write()

    def forget(self, counted: int) -> None:
        """Count anew from the frame after `counted`: a source is read again from further back."""
        self._pending = None
        self._tally.take_unwritten()
        self._intake.letters.clear()
        self._intake.counted = counted
