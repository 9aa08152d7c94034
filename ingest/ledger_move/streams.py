"""Streams and counters of servers that leave, merged into those of the first one, each exactly once.

A merged stream is built beside the old one and takes its place in one transaction, with a note of that in the mark.
Entries stand in the order of their ids; of two with the same id, the second one gets the next that is free.
"""

import heapq
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.exceptions import ResponseError

from ingest.ledger_move.mark import Mark
from ingest.ledger_move.parties import PAGE, Parties
from ingest.relay import GROUP
from tasks.ledger import LedgerKeys
from tasks.ledger.entry_id import EntryId
from tasks.protocol.counters import read_count

_Entry = tuple[EntryId, dict[Any, Any]]


def streams_of(keys: LedgerKeys) -> Sequence[str]:
    """Return the keys of the streams."""
    shards = (keys.signals, keys.held, keys.shadowed, keys.deadletters, keys.audit, keys.positions, keys.resets)
    return (*shards, keys.history)


class Streams:
    """Merges streams and counters."""

    def __init__(self, parties: Parties, mark: Mark) -> None:
        self._parties, self._plan, self._keys, self._mark = parties, parties.plan, parties.keys, mark
        self._first = parties.first
        #: How many signals were merged from other servers.
        self.signals = 0

    async def merge(self) -> None:
        """Merge each of them that is not merged yet."""
        for stream in streams_of(self._keys):
            step = f"merged:{self._parties.suffix(stream)}"
            if not await self._mark.has(step):
                await self._merge(stream, step)
        if not await self._mark.has("merged:counters"):
            await self._add_counters()

    async def _merge(self, stream: str, step: str) -> None:
        sources = {server: about for server in self._plan.merged if (about := await self._about(server, stream))}
        if not set(sources) - {self._plan.first}:
            if stream == self._keys.signals:
                await self._replace(stream, "", step, None)
            return
        built = f"{self._keys.moving}:{self._parties.suffix(stream)}"
        await self._first.delete(built)
        last = await self._build(built, stream, list(sources))
        added = sum(int(about["entries-added"]) for about in sources.values())
        ids = [last, *(EntryId.parse(about["last-generated-id"].decode()) for about in sources.values())]
        deleted = max(EntryId.parse(about["max-deleted-entry-id"].decode()) for about in sources.values())
        end = max(ids).stored
        # Of a stream that is empty there must be one whose numbers can be set.
        await self._first.xgroup_create(built, GROUP, id="0", mkstream=True)
        first: Any = self._first
        await first.execute_command("XSETID", built, end, "ENTRIESADDED", added, "MAXDELETEDID", deleted.stored)
        await self._first.xgroup_destroy(built, GROUP)
        if stream == self._keys.signals:
            await self._first.xgroup_create(built, GROUP, id=end, entries_read=added)
            self.signals = sum(about["length"] for server, about in sources.items() if server != self._plan.first)
        await self._replace(stream, built, step, (end, added))

    async def _about(self, server: str, stream: str) -> Any:
        try:
            return await self._parties[server].xinfo_stream(stream)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            return None

    async def _build(self, built: str, stream: str, servers: Sequence[str]) -> EntryId:
        """Write the entries of a stream on several servers to a new one; return the last id."""
        last, page = EntryId(0, 0), list[_Entry]()
        async for at, fields in self._in_order(stream, servers):
            last = at if at > last else last._replace(seq=last.seq + 1)
            page.append((last, fields))
            if len(page) == PAGE:
                await self._append(built, page)
                page.clear()
        await self._append(built, page)
        return last

    async def _append(self, built: str, page: Sequence[_Entry]) -> None:
        if page:
            async with self._first.pipeline(transaction=False) as pipe:
                for at, fields in page:
                    pipe.xadd(built, fields, id=at.stored)
                await pipe.execute()

    async def _in_order(self, stream: str, servers: Sequence[str]) -> AsyncIterator[_Entry]:
        readers = [self._entries(server, stream) for server in servers]
        heads = [(await anext(reader, None), number) for number, reader in enumerate(readers)]
        waiting = [(head[0], number, head[1]) for head, number in heads if head]
        heapq.heapify(waiting)
        while waiting:
            at, number, fields = waiting[0]
            yield at, fields
            head = await anext(readers[number], None)
            if head:
                heapq.heapreplace(waiting, (head[0], number, head[1]))
            else:
                heapq.heappop(waiting)

    async def _entries(self, server: str, stream: str) -> AsyncIterator[_Entry]:
        after, page = "-", list[Any]()
        while page := await self._entries_from(server, stream, after):
            for name, fields in page:
                yield EntryId.parse(name.decode()), fields
            after = f"({page[-1][0].decode()}"

    async def _entries_from(self, server: str, stream: str, lowest: str) -> list[Any]:
        page: Any = await self._parties[server].xrange(stream, min=lowest, count=PAGE)
        return page  # type: ignore[no-any-return]  # redis-py leaves it open

    async def _replace(self, stream: str, built: str, step: str, end: tuple[str, int] | None) -> None:
        """Put the new stream, if there is one, in the place of the old one, once; deliveries go on at its `end`."""
        stand = await self._deliveries(end) if stream == self._keys.signals else {}
        async with self._first.pipeline(transaction=True) as pipe:
            pipe.hset(self._mark.key, step, 1)
            if built:
                pipe.rename(built, stream)
            for key, fields in stand.items():
                pipe.hset(key, mapping=fields)
            await pipe.execute()

    async def _deliveries(self, end: tuple[str, int] | None) -> dict[str, dict[Any, Any]]:
        """Return where each delivery stands then, by its key."""
        found = dict[str, dict[Any, Any]]()
        for key in await self._parties.key_names(self._plan.first, "delivery:*"):
            stored: Any = await self._parties.done(self._first.hmget(key, ["position", "passed"]))
            position, passed = ((value or b"").decode() for value in stored)
            found[key] = dict(self._plan.delivery(position, passed, end))
        return found

    async def _add_counters(self) -> None:
        total = Counter[str]()
        for server in self._plan.leaving:
            async for page in self._parties.pages(server, self._keys.counters):
                total.update({field: count for field, value in page.items() if (count := read_count(value))})
        async with self._first.pipeline(transaction=True) as pipe:
            pipe.hset(self._mark.key, "merged:counters", 1)
            for field, count in total.items():
                pipe.hincrby(self._keys.counters, field, count)
            await pipe.execute()
