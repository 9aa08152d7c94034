"""Moves the ledger: each step may be repeated, so the same command finishes what was ended at any point.

Before ingest is kept away nothing is written; before anything is removed, everything is where it belongs.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ingest.lanes.frame_partitions import frame_partitions
from ingest.lanes.layout import Layout
from ingest.ledger.damage import LedgerDamage
from ingest.ledger.servers import Connect, check_ledgers
from ingest.ledger_move import checks
from ingest.ledger_move.cleaning import Cleaning
from ingest.ledger_move.fields import PoolFields
from ingest.ledger_move.mark import Mark
from ingest.ledger_move.old_shards import OldShards
from ingest.ledger_move.parties import Parties
from ingest.ledger_move.plan import MovePlan, NewShards
from ingest.ledger_move.streams import Streams
from ingest.ledger_move.unsharded import Unsharded
from tasks.clients.redis_client import connect_async
from tasks.errors import LedgerError, SettingsError
from tasks.ledger import MOVING, lane_field
from tasks.protocol.findings import Finding
from tasks.protocol.routing import Pool, Router, Shard
from tasks.settings import Settings
from tasks.settings.values import redis_urls

#: Noted when everything is where it belongs, before anything is removed.
_COPIED = "copied"


class Moved(NamedTuple):
    """What one run of the command has copied: less than all of it, where an earlier one was ended."""

    symbols: int
    fields: int
    signals: int
    seconds: float
    #: What the old ledgers were found to have lost.
    damage: Sequence[Finding]


class LedgerMover:
    """Moves the ledger from some servers to those of the settings."""

    def __init__(
        self, settings: Settings, old_urls: str, pools: Iterable[Pool], connect: Connect = connect_async
    ) -> None:
        """`old_urls` have blanks between; `connect` makes the client of a server.

        Raises SettingsError: they are no URLs, or ingest could not start with these settings.
        """
        pools, shard = tuple(pools), settings.shard
        try:
            urls = redis_urls(old_urls).split()
        except ValueError as error:
            raise SettingsError(f"--from: {error}") from None
        if not urls:
            raise SettingsError("--from, or LEDGER_FROM, has to say where the ledger is")
        check_ledgers(settings)
        subjects = settings.frame_subjects
        for number in range(shard.total):
            frame_partitions(subjects, Shard(number, shard.total), pools)
        self.plan = MovePlan.of(urls, settings.ledgers, shard.total, subjects.partitions, pools)
        self._pools, self._is_split = pools, len(settings.ledgers) > 1
        # The login of the settings counts where both have one.
        self._parties = Parties(settings, self.plan, [*urls, *settings.ledgers], connect)
        self._mark, self._damage = Mark(self._parties), LedgerDamage()
        self._old = OldShards(self._parties, self._damage)

    async def close(self) -> None:
        """Close all connections."""
        await self._parties.close()

    async def is_needed(self) -> bool:
        """Check all that has to be so; return whether anything is to be moved.

        Raises LedgerError: something is not so, and a repetition would find it as it is; what Redis raises.
        """
        parties = self._parties
        await checks.check_servers(parties)
        is_begun = await self._mark.is_begun()
        await checks.check_stopped(parties)
        await checks.check_deliveries(parties)
        if is_begun and await self._mark.shards():
            return True
        if not is_begun and await self._is_done():
            return False
        checks.check_first(parties)
        await checks.check_empty(parties)
        checks.check_layouts(parties, await self._old.layouts())
        await checks.check_relayed(parties)
        await self._old.read()
        return True

    async def _is_done(self) -> bool:
        """Return whether the new servers have the layout of the settings, and those that leave have nothing."""
        for shard in range(self.plan.shards):
            stored = await self._parties[self.plan.server_of(shard)].get(self._parties.keys.layout)
            if stored != self._layout(shard):
                return False
        left = [await self._parties[server].get(self._parties.keys.layout) for server in self.plan.leaving]
        return all(layout in {None, MOVING} for layout in left)

    def _layout(self, shard: int) -> bytes:
        router = Router(self._pools, Shard(shard, self.plan.shards), self.plan.frames)
        return Layout(router, has_own_ledger=self._is_split).encode()

    async def move(self, reason: str) -> Moved:
        """Move everything; `is_needed` has said that it can be. Raises LedgerError, and what Redis raises."""
        begun_s = time.monotonic()
        fields, streams = PoolFields(self._parties), Streams(self._parties, self._mark)
        if not await self._mark.is_done():
            await self._mark.set(reason)
            shards = await self._new_shards()
            if not await self._mark.has(_COPIED):
                await fields.copy()
                await Unsharded(self._parties, self._mark).copy()
                await streams.merge()
                for number in range(self.plan.shards):
                    await self._write_shard(number, shards)
                # What was made of several servers can't be made again once one of them is emptied.
                await self._mark.note(_COPIED)
            await self._parties.settle()
            await Cleaning(self._parties, shards).clean()
            await self._mark.note_all_done()
        for number in range(self.plan.shards):
            await self._parties[self.plan.server_of(number)].set(self._parties.keys.layout, self._layout(number))
        await self._mark.withdraw()
        seconds = time.monotonic() - begun_s
        return Moved(len(fields.symbols), fields.copied, streams.signals, seconds, tuple(self._damage.findings()))

    async def _new_shards(self) -> NewShards:
        if known := await self._mark.shards():
            return known
        try:
            # One that was about to lead when we looked leads by now, or reads the mark.
            await checks.check_stopped(self._parties)
            await self._old.end_epochs()
            # A worker may have committed until now what was in flight when everybody looked.
            await checks.check_relayed(self._parties)
        except LedgerError:
            # Also where an earlier run of the command has ended epochs: without the mark nothing could bring them back.
            await self._old.begin_again()
            await self._mark.withdraw()
            raise
        shards = await self._old.read()
        await self._mark.keep_shards(shards)
        return shards

    async def _write_shard(self, number: int, shards: NewShards) -> None:
        """Write what a shard begins with, as a start under a new layout does."""
        keys = self._parties.keys
        lanes = Router(self._pools, Shard(number, self.plan.shards), self.plan.frames).lanes
        fields: dict[Any, Any] = shards.fields()
        async with self._parties[self.plan.server_of(number)].pipeline(transaction=True) as pipe:
            pipe.delete(keys.shard(number))
            if fields:
                pipe.hset(keys.shard(number), mapping=fields)
            for lane in lanes if shards.frontier else ():
                pipe.hset(keys.pool(lane.pool), lane_field(lane), shards.frontier)
            await pipe.execute()
