"""Settles lanes of which a notice tells, where a notice alone does not: the ledger is read, and confirms what it says."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from ingest.lanes import Lanes
from ingest.ledger import IngestLedger
from tasks.clients.redis_client import FAILED
from tasks.errors import LedgerError
from tasks.events import Position
from tasks.protocol.batches import Epoch
from tasks.protocol.routing import LaneId


class Settle(Protocol):
    """Takes where a lane stands."""

    def __call__(self, name: LaneId, position: Position, *, noticed: bool) -> None:
        """`noticed`: a notice just said so."""


class NoticedLanes:
    """Reads them one time after the other; what is noticed meanwhile is read together."""

    def __init__(self, ledger: IngestLedger, lanes: Lanes, epoch: Callable[[], Epoch], settle: Settle) -> None:
        """`epoch` returns that of the moment."""
        self._ledger, self._lanes, self._epoch, self._settle = ledger, lanes, epoch, settle
        self._noticed = set[LaneId]()
        self._reading: asyncio.Task[None] | None = None

    def add(self, lane: LaneId) -> None:
        """Have a lane read."""
        self._noticed.add(lane)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read_all())

    async def _read_all(self) -> None:
        while self._noticed:
            lanes = [*self._noticed]
            self._noticed.clear()
            # What can't be read, or is not confirmed, is read again when its lane is overdue.
            with suppress(*FAILED, LedgerError):
                await self._read(lanes)

    async def _read(self, lanes: Sequence[LaneId]) -> None:
        positions = await self._ledger.read([(self._lanes[lane], None) for lane in lanes], queues=False)
        # Another epoch has begun meanwhile, or Redis went back: that is dealt with where lanes are overdue.
        if positions.epoch != self._epoch():
            return
        for lane, (position, _) in positions.lanes.items():
            if position is not None:
                self._settle(lane, position, noticed=True)
