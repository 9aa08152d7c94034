"""Reads the paper accounts every few seconds: closed positions as they are added to their stream, open ones by a scan."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from redis.exceptions import ResponseError

from ingest.ledger import IngestLedger
from ingest.monitoring.paper_figures import OpenPositions, PaperFigures, figures
from tasks.clients.redis_client import reason
from tasks.errors import UNREADABLE
from tasks.paper import closed_position
from tasks.paper.position_statistics import PositionStatistics
from tasks.paper.stored_accounts import StoredAccount, read_accounts
from tasks.telemetry.log_throttle import LogThrottle

#: Read at a time, so that the event loop is never held for more than a few milliseconds.
PAGE = 200
#: Between two pages, so that a long stream or ledger takes a small part of a core.
PAUSE_S = 0.01
_UNREADABLE: tuple[type[Exception], ...] = (*UNREADABLE, ValueError)
log = structlog.get_logger()


class PaperProbe:
    """Keeps the figures of the paper accounts, in the ingest process that leads."""

    def __init__(self, ledger: IngestLedger, pools: Sequence[str], page: int = PAGE, pause_s: float = PAUSE_S) -> None:
        """`pools` are those that have accounts."""
        self._ledger, self._pools, self._page, self._pause_s = ledger, pools, page, pause_s
        self._figures: PaperFigures | None = None
        self._throttle = LogThrottle()
        self._restart()

    def _restart(self) -> None:
        self._closed: dict[str, PositionStatistics] = {}
        #: The last entry that was read, and how many were.
        self._last, self._read = "", 0

    @property
    def seen(self) -> PaperFigures | None:
        """The last figures; None: there are none yet, or another process leads."""
        return self._figures if self._ledger.lease.held else None

    async def ask(self) -> None:
        """Read what is new. Raises what Redis raises when it is unavailable; what it refuses to tell is left out."""
        try:
            await self._read_closed()
            self._figures = figures(self._closed, await self._read_open())
        except ResponseError as error:
            # No fault of the pipeline: signals come without these figures.
            self._figures = None
            self._warn("Redis refuses to tell of the paper accounts: no figures of them", reason(error))

    async def _read_closed(self) -> None:
        client, stream = self._ledger.client, self._ledger.keys.positions
        if not await client.exists(stream) or (await client.xinfo_stream(stream))["entries-added"] < self._read:
            # Redis lost what was read.
            self._restart()
        while True:
            after = f"({self._last}" if self._last else "-"
            entries: Any = await client.xrange(stream, min=after, count=self._page)
            for name, fields in entries:
                self._last = name.decode()
                self._add(fields)
            self._read += len(entries)
            if len(entries) < self._page:
                return
            await asyncio.sleep(self._pause_s)

    def _add(self, fields: Mapping[bytes, bytes]) -> None:
        try:
            closed = closed_position.unpack(fields.get(b"position", b""))
        except _UNREADABLE as error:
            self._warn("a closed position can't be read: it is left out", str(error))
        else:
            self._closed.setdefault(closed.strategy, PositionStatistics()).add(closed)

    async def _read_open(self) -> OpenPositions:
        held = OpenPositions()
        for pool in self._pools:
            seen, cursor = set[bytes](), 0
            while True:
                found: Any = await self._ledger.client.hscan(
                    self._ledger.keys.pool(pool), cursor, match="paper:*", count=self._page
                )
                cursor, fields = found
                # A scan may give a field twice.
                fresh = {field: packed for field, packed in fields.items() if field not in seen}
                seen.update(fresh)
                held.add(self._readable(pool, fresh))
                if not cursor:
                    break
                await asyncio.sleep(self._pause_s)
        return held

    def _readable(self, pool: str, fields: Mapping[bytes, bytes]) -> list[StoredAccount]:
        stored = [(pool, field.decode(errors="replace"), packed) for field, packed in fields.items()]
        try:
            return read_accounts(stored)
        except ValueError as error:
            # Of another release: the workers say so too, with a dead letter.
            self._warn("a paper account can't be read: it is left out", str(error))
        found: list[StoredAccount] = []
        for each in stored:
            with suppress(ValueError):
                found += read_accounts([each])
        return found

    def _warn(self, what: str, why: str) -> None:
        if self._throttle.allow():
            log.warning(what, why=why)
