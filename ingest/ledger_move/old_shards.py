"""The shards before a move: their epochs end, and what they knew becomes what the new ones begin with.

As under a new layout of the lanes: reading begins at the lowest frontier of all, and what was counted or applied after
that is passed over.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ingest.lanes.layout import StoredLayout, decode
from ingest.ledger import counted, stored_shard
from ingest.ledger.damage import LedgerDamage
from ingest.ledger.stored_shard import FIELDS, StoredShard
from ingest.ledger_move.parties import Parties
from ingest.ledger_move.plan import NewShards
from ingest.sources.resume import is_stream, last_stored
from tasks.errors import LedgerError
from tasks.events import Position
from tasks.ledger import MOVING, read_position


class OldShards:
    """The shards whose ledgers move."""

    def __init__(self, parties: Parties, damage: LedgerDamage) -> None:
        self._parties, self._plan, self._keys, self._damage = parties, parties.plan, parties.keys, damage

    async def layouts(self) -> list[StoredLayout]:
        """Return the layout of each old server, one without shards where none is. Raises LedgerError."""
        return [decode(await self._layout(server), self._keys.layout) for server in self._plan.old]

    async def _layout(self, server: str) -> Any:
        if kept := await self._kept(server, "layout"):
            return kept
        stored = await self._parties[server].get(self._keys.layout)
        # Where none was, an earlier run of the command has kept none.
        return b"" if stored in {None, MOVING} else stored

    async def _kept(self, server: str, what: str) -> Any:
        return await self._parties.done(self._parties[server].hget(self._keys.moving, what))

    async def end_epochs(self) -> None:
        """End the epoch of every shard, so that no task in flight commits; the mark keeps it, and the layout.

        What stands for the layout then is refused by every start, whenever it has read the layout before.
        """
        for server in self._plan.joining:
            await self._parties[server].set(self._keys.layout, MOVING)
        for server in self._plan.old:
            client, numbers, ended = self._parties[server], await self._numbers(server), dict[Any, Any]()
            for number in numbers:
                ended[f"epoch:{number}"] = await self._parties.done(client.hget(self._keys.shard(number), "epoch"))
            stored = await client.get(self._keys.layout)
            ended["layout"] = None if stored == MOVING else stored
            async with client.pipeline(transaction=True) as pipe:
                # A repetition finds none any more, and leaves what is kept.
                if kept := {name: each for name, each in ended.items() if each}:
                    pipe.hset(self._keys.moving, mapping=kept)
                pipe.set(self._keys.layout, MOVING)
                for number in numbers:
                    pipe.hdel(self._keys.shard(number), "epoch")
                await pipe.execute()

    async def begin_again(self) -> None:
        """Put epochs and layouts back where they have ended, as the mark keeps them: each shard can start as it was."""
        for server in self._plan.old:
            client, numbers = self._parties[server], await self._numbers(server)
            if await client.get(self._keys.layout) != MOVING:
                continue
            epochs = {number: await self._kept(server, f"epoch:{number}") for number in numbers}
            layout = await self._kept(server, "layout")
            async with client.pipeline(transaction=True) as pipe:
                for number, epoch in epochs.items():
                    if epoch:
                        pipe.hset(self._keys.shard(number), "epoch", epoch)
                if layout:
                    pipe.set(self._keys.layout, layout)
                else:
                    pipe.delete(self._keys.layout)
                await pipe.execute()
        for server in self._plan.joining:
            await self._parties.remove_keys(server, [self._keys.layout])

    async def _numbers(self, server: str) -> list[int]:
        """Return the shards that a server has a key of: if each server is of one shard, only that."""
        words = [key.rpartition(":")[2] for key in await self._parties.key_names(server, "shard:*")]
        numbers = sorted(int(word) for word in words if word.isdecimal())
        if len(self._plan.old) == 1:
            return numbers
        return [number for number in numbers if number == self._plan.old.index(server)]

    async def read(self) -> NewShards:
        """Return what the new shards begin with, whether epochs have ended already or not.

        Raises LedgerError: something else stands there, a shard never began, or they stand in different streams.
        """
        layouts = await self.layouts()
        total = len(layouts) if len(layouts) > 1 else layouts[0].shards
        found = {
            number: await self._shard(server, number)
            for server in self._plan.old
            for number in await self._numbers(server)
        }
        lanes, frames = await self._lanes()
        stored, _ = stored_shard.shards_that_began(found, range(total), self._keys, self._damage)
        start = self._start(stored, total, lanes)
        read = {f"{each.key} read": each.read for each in stored} | frames
        last = last_stored(stored_shard.frames_read(read))
        if start is None:
            return NewShards(read=str(last or ""))
        owners = range(total) if any(layout.frames for layout in layouts) else range(min(total, 1))
        return self._counted(
            start, {int(each.key.rpartition(":")[2]): each for each in stored}, owners, str(last or "")
        )

    async def _shard(self, server: str, number: int) -> StoredShard:
        key = self._keys.shard(number)
        epoch, *fields = await self._parties.done(self._parties[server].hmget(key, *FIELDS))
        return StoredShard(key, epoch or await self._kept(server, f"epoch:{number}"), *fields)

    async def _lanes(self) -> tuple[list[list[Position]], dict[str, bytes | None]]:
        """Return where the lanes of each old server stand in streams, and the frames there, by their places."""
        standing, frames = [list[Position]() for _ in self._plan.old], dict[str, bytes | None]()
        for at, server in enumerate(self._plan.old):
            for key in await self._parties.key_names(server, "pool:*"):
                async for page in self._parties.pages(server, key):
                    for field, value in page.items():
                        where = f"{key} {field}"
                        if field.startswith("lane:") and (position := read_position(value, where)):
                            standing[at] += [position] if is_stream(position.source) else []
                        elif field.startswith("frame:"):
                            frames[f"{server} {where}"] = value
        return standing, frames

    def _start(self, stored: Sequence[StoredShard], total: int, lanes: list[list[Position]]) -> Position | None:
        """Return where reading begins; None: no shard has read a stream."""
        by_shard = {each.key: each.frontiers(self._damage) for each in stored}
        missing = [number for number in range(total) if not by_shard.get(self._keys.shard(number))]
        found = [each for frontiers in by_shard.values() for each in frontiers if is_stream(each.source)]
        if len(lanes) > 1 or not found:
            # As at a start: a shard whose own key is lost goes on where its lanes stand.
            for number in list(missing):
                if standing := lanes[number if len(lanes) > 1 else 0]:
                    key = self._keys.shard(number)
                    found += stored_shard.frontiers_of_lanes(key, standing, self._damage)
                    missing.remove(number)
        if found and missing:
            raise LedgerError(
                f"shard {missing[0]} has never begun: start all shards as they were, so that its frames are read, and "
                "stop them again"
            )
        if len(sources := sorted({each.source for each in found})) > 1:
            raise LedgerError(
                f"shards stand in different streams ({', '.join(sources)}): start all of them as they were, and stop "
                "them again"
            )
        return min(found, key=lambda each: each.seq, default=None)

    def _counted(
        self, start: Position, shards: Mapping[int, StoredShard], owners: Sequence[int], read: str
    ) -> NewShards:
        if self._plan.frames:
            text = counted.by_partition(self._plan.frames, owners, shards, start)
            return NewShards(str(start), str(start), text, read)
        # The first shard counts all frames.
        reached = shards[0].reached() if 0 in shards else []
        return NewShards(str(start), str(next(iter(reached), "")), "", read)
