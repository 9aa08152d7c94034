"""The mark on every server of a move: ingest does not start while it is there, and a repetition finds what is done.

What is done stands in the mark of the server that will be the first.
"""

from typing import Any

import msgspec

from ingest.ledger_move.parties import Parties
from ingest.ledger_move.plan import MovePlan, NewShards
from tasks.errors import UNREADABLE, LedgerError

_PLAN, _REASON, _SHARDS, _DONE = "plan", "reason", "shards", "done"


class Mark:
    """The mark of one move."""

    def __init__(self, parties: Parties) -> None:
        self._parties, self._plan, self.key = parties, parties.plan, parties.keys.moving

    async def is_begun(self) -> bool:
        """Return whether this move has begun. Raises LedgerError: another one has, and is not finished."""
        found = [await self._field(server, _PLAN) for server in self._plan.servers]
        for server, stored in zip(self._plan.servers, found, strict=True):
            if stored is not None and stored != self._packed:
                raise LedgerError(f"{server} is part of another move, which has to be finished first: {_told(stored)}")
        return any(found)

    @property
    def _packed(self) -> bytes:
        return msgspec.json.encode(self._plan, order="sorted")

    async def set(self, reason: str) -> None:
        """Mark all servers."""
        for server in self._plan.servers:
            await self._parties.put(server, self.key, {_PLAN: self._packed, _REASON: reason})

    async def shards(self) -> NewShards | None:
        """Return what the new shards' keys will hold; None: nothing was overwritten yet."""
        stored = await self._field(self._plan.first, _SHARDS)
        return msgspec.json.decode(stored, type=NewShards) if stored else None

    async def keep_shards(self, shards: NewShards) -> None:
        """Keep what the new shards' keys will hold, before anything that it was made of is overwritten."""
        await self._parties.put(self._plan.first, self.key, {_SHARDS: msgspec.json.encode(shards)})

    async def has(self, step: str) -> bool:
        """Return whether a step is done that may not be done twice."""
        return await self._field(self._plan.first, step) is not None

    async def note(self, step: str) -> None:
        """Note that a step is done."""
        await self._parties.put(self._plan.first, self.key, {step: 1})

    async def is_done(self) -> bool:
        """Return whether all is done but the new layouts and the removal of the marks."""
        return await self.has(_DONE)

    async def note_all_done(self) -> None:
        """Note that all is done but the new layouts and the removal of the marks; a repetition goes on from here."""
        await self.note(_DONE)

    async def withdraw(self) -> None:
        """Remove the marks, the first server's last, of which the others are part."""
        for server in sorted(self._plan.servers, key=lambda server: server == self._plan.first):
            await self._parties.remove_keys(server, [self.key])

    async def _field(self, server: str, field: str) -> bytes | None:
        stored: Any = await self._parties.done(self._parties[server].hget(self.key, field))
        return stored  # type: ignore[no-any-return]  # bytes, since responses are not decoded


def _told(stored: bytes) -> str:
    try:
        return f"{msgspec.json.decode(stored, type=MovePlan)}, with its number of shards, NATS_PARTITIONS and pools"
    except UNREADABLE:
        return repr(stored[:100])
