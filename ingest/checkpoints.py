"""Writes into the ledger what ingest itself knows: the frontier, its counters, the frames it refused."""

from collections import Counter
from typing import NamedTuple

from ingest.intake import Intake
from ingest.lanes import Lanes
from ingest.ledger import IngestLedger
from ingest.sender import Sender
from ingest.tally import Tally
from tasks.events import Position


class _Checkpoint(NamedTuple):
    name: str
    letters: tuple[bytes, ...]
    counts: Counter[str]


class Checkpoints:
    """One at a time, each until it is known to be written: so nothing is counted twice, or not at all."""

    def __init__(self, ledger: IngestLedger, sender: Sender, lanes: Lanes, intake: Intake, tally: Tally) -> None:
        self._ledger, self._sender, self._lanes, self._intake, self._tally = ledger, sender, lanes, intake, tally
        self._pending: _Checkpoint | None = None
        self._number = 0

    @property
    def left(self) -> bool:
        """Whether there is something that the ledger does not know yet."""
        return bool(self._pending or self._tally.unwritten or self._intake.letters)

    async def write(self) -> None:
        """Write a checkpoint; under another epoch than ours, see what happened. Raises what `Sender.look` raises."""
        if self._pending is None:
            self._number += 1
            letters = tuple(self._intake.letters)
            self._intake.letters.clear()
            self._pending = _Checkpoint(f"{self._sender.epoch}#{self._number}", letters, self._tally.take_unwritten())
        frontier = Position(self._lanes.source, self._lanes.frontier)
        if await self._ledger.checkpoint(self._sender.epoch, self._pending.name, frontier, *self._pending[1:]):
            self._pending = None
        else:
            await self._sender.look(everywhere=True)
