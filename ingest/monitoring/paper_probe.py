"""Reads the paper accounts every few seconds: closed positions as they are added to their stream, open ones by a scan.

Where each shard has a ledger, those of all.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from ingest.ledger import IngestLedger
from ingest.monitoring.paper_figures import OpenPositions, PaperFigures, figures
from tasks.clients.redis_client import FAILED, reason
from tasks.errors import UNREADABLE
from tasks.ledger.entry_id import EntryId
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


class _LedgerAccounts:
    """The paper accounts of one ledger, and how far its closed positions have been read."""

    def __init__(self, client: Redis, stream: str, page: int, pause_s: float, shard: int | None = None) -> None:
        """`shard` is the other shard that has this ledger; None: it is this shard's."""
        self.client, self.shard = client, shard
        self._stream, self._page, self._pause_s = stream, page, pause_s
        #: Its open positions when they were last read.
        self.held = OpenPositions()
        self.restart()

    def restart(self) -> None:
        """Forget what was read of closed positions."""
        #: The last entry that was read, and how many were.
        self._last, self._read = "", 0
        #: Entries that were read and not taken yet.
        self.entries: deque[tuple[EntryId, Mapping[bytes, bytes]]] = deque()

    def begin(self) -> None:
        """Begin a round."""
        self.answers = self._has_more = True

    async def has_lost(self) -> bool:
        """Return whether Redis lost what was read. Raises what Redis raises."""
        if not await self.client.exists(self._stream):
            return self._read > 0
        about: Any = await self.client.xinfo_stream(self._stream)
        return int(about["entries-added"]) < self._read

    async def fill(self) -> bool:
        """Return whether there is an entry to take; a page is read for it if need be. Raises what Redis raises."""
        if not self.entries and self._has_more:
            after = f"({self._last}" if self._last else "-"
            found: Any = await self.client.xrange(self._stream, min=after, count=self._page)
            for name, fields in found:
                self._last = name.decode()
                self.entries.append((EntryId.parse(self._last), fields))
            self._read += len(found)
            self._has_more = len(found) == self._page
            if self._has_more:
                await asyncio.sleep(self._pause_s)
        return bool(self.entries)


class PaperProbe:
    """Keeps the figures of the paper accounts of all ledgers, in the ingest process that leads."""

    def __init__(self, ledger: IngestLedger, pools: Sequence[str], page: int = PAGE, pause_s: float = PAUSE_S) -> None:
        """`pools` are those that have accounts."""
        self._ledger, self._pools, self._page, self._pause_s = ledger, pools, page, pause_s
        reading = ledger.keys.positions, page, pause_s
        others = ledger.servers.other_ledgers.items()
        self._accounts = [_LedgerAccounts(ledger.client, *reading)]
        self._accounts += [_LedgerAccounts(client, *reading, shard) for shard, client in others]
        self._figures: PaperFigures | None = None
        self._throttle = LogThrottle()
        self._restart()

    def _restart(self) -> None:
        self._closed: dict[str, PositionStatistics] = {}
        self._has_lost = False
        for each in self._accounts:
            each.restart()

    @property
    def seen(self) -> PaperFigures | None:
        """The last figures; None: there are none yet, or another process leads."""
        return self._figures if self._ledger.lease.held else None

    async def ask(self) -> None:
        """Read what is new. Raises what Redis raises when it is unavailable; what it refuses to tell is left out.

        A ledger of another shard that fails keeps its last figures.
        """
        for each in self._accounts:
            each.begin()
        try:
            await self._read_closed()
            for each in self._accounts:
                await self._attempt(each, partial(self._read_open, each))
            held = OpenPositions.sum_of(each.held for each in self._accounts)
            self._figures = figures(self._closed, held)
        except ResponseError as error:
            # No fault of the pipeline: signals come without these figures.
            self._figures = None
            self._warn("Redis refuses to tell of the paper accounts: no figures of them", reason(error))

    async def _attempt(self, accounts: _LedgerAccounts, step: Callable[[], Awaitable[bool]]) -> bool:
        """Return what a step at the ledger of a shard does; False: it is another shard's, and failed in this round."""
        if not accounts.answers:
            return False
        try:
            return await step()
        except FAILED as error:
            if accounts.shard is None:
                raise
            accounts.answers = False
            why = f"the ledger of shard {accounts.shard}: {reason(error)}"
            self._warn("the paper accounts of another ledger can't be read: its last figures stay", why)
            return False

    async def _read_closed(self) -> None:
        for each in self._accounts:
            self._has_lost |= await self._attempt(each, each.has_lost)
        # A drawdown is that of all ledgers together: what one lost leaves it only when all are read again.
        if self._has_lost and all(each.answers for each in self._accounts):
            self._restart()
        # In the order of their times, as the peak of the profit depends on it.
        while found := [each for each in self._accounts if await self._attempt(each, each.fill)]:
            first = min(found, key=lambda each: each.entries[0][0])
            _, fields = first.entries.popleft()
            self._add(fields)

    def _add(self, fields: Mapping[bytes, bytes]) -> None:
        try:
            closed = closed_position.unpack(fields.get(b"position", b""))
        except _UNREADABLE as error:
            self._warn("a closed position can't be read: it is left out", str(error))
        else:
            self._closed.setdefault(closed.strategy, PositionStatistics()).add(closed)

    async def _read_open(self, accounts: _LedgerAccounts) -> bool:
        held = OpenPositions()
        for pool in self._pools:
            seen, cursor = set[bytes](), 0
            while True:
                found: Any = await accounts.client.hscan(
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
        accounts.held = held
        return True

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
