"""Follows the channel on which workers and commands tell what they have written into the ledger."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from ingest.connectivity import Connectivity
from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.breaker import Breaker
from ingest.dispatch.sender import Sender
from ingest.ledger import IngestLedger
from tasks.clients.redis_client import FAILED
from tasks.protocol.notice import CONFIGURATION_NOTICE, WORKERS_NOTICE
from tasks.protocol.strikes import NOTICE as STRIKE_NOTICE


class NoticeListener:
    """Dispatches each notice to its handler."""

    def __init__(
        self,
        ledger: IngestLedger,
        sender: Sender,
        breaker: Breaker,
        active_configuration: ActiveConfiguration,
        connectivity: Connectivity,
        ask_workers: Callable[[], Awaitable[None]],
    ) -> None:
        self._ledger, self._sender, self._breaker = ledger, sender, breaker
        self._active_configuration, self._connectivity = active_configuration, connectivity
        self._ask_workers = ask_workers

    async def follow(self) -> None:
        """Follow the notices, until Redis fails. Raises what it raises, and SupersededError."""
        notices = await self._ledger.subscribe()
        try:
            # Any may have been missed before this connection stood.
            if not self._ledger.servers.has_other_first:
                await self._refresh()
            await self._sender.poll(all_lanes=True)
            self._connectivity.back("redis")
            while True:
                if (notice := await notices.next()) is not None:
                    await self._take(notice)
        finally:
            with suppress(*FAILED):
                await notices.close()

    async def follow_first(self) -> None:
        """Follow the notices of what belongs to no shard, where they are in another ledger. Raises as `follow`."""
        notices = await self._ledger.subscribe(first=True)
        try:
            await self._refresh()
            while True:
                if (notice := await notices.next()) in {CONFIGURATION_NOTICE, WORKERS_NOTICE}:
                    await self._take(notice)
        finally:
            with suppress(*FAILED):
                await notices.close()

    async def _refresh(self) -> None:
        await self._active_configuration.refresh()
        await self._ask_workers()

    async def _take(self, text: str) -> None:
        if text == CONFIGURATION_NOTICE:
            await self._active_configuration.refresh()
        elif text == WORKERS_NOTICE:
            await self._ask_workers()
        elif text.startswith(STRIKE_NOTICE):
            await self._breaker.on_notice(text)
        else:
            self._sender.on_notice(text)
