"""Writes dead letters of a worker's main process into the ledger, on the event loop beside it."""

import asyncio
from contextlib import suppress

import redis
import stamina
import structlog

from tasks.clients.redis_client import FAILED, async_connection_options, connect_async
from tasks.ledger import LedgerKeys
from tasks.protocol import dead_letters
from tasks.protocol.counters import CounterKey
from tasks.settings import Settings

#: Then a letter is lost, which is logged: what it is about was counted.
_TRY_S = 10.0
log = structlog.get_logger()


class LetterWriter:
    """Writes letters one by one, each for so long as Redis may be unavailable."""

    def __init__(self, settings: Settings) -> None:
        """The connection opens at the first letter."""
        options = async_connection_options()
        self._client = connect_async(settings, settings.ledger, **options)
        self._keys = LedgerKeys(settings.namespace)
        self._writing: set[asyncio.Task[None]] = set()
        #: One connection is enough.
        self._turn = asyncio.Lock()

    def write_soon(self, letter: bytes, counter: CounterKey) -> None:
        """Begin to write a letter, packed, and to count it. To be called on the event loop."""
        writing = asyncio.ensure_future(self._write(letter, counter))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _write(self, letter: bytes, counter: CounterKey) -> None:
        try:
            async with self._turn:
                await self._append(letter)
                # A counter that is no number is told of by itself.
                with suppress(redis.ResponseError):
                    await self._client.hincrby(self._keys.counters, counter.field, 1)
        except FAILED as error:
            log.warning("a dead letter could not be written", error=str(error))

    async def _append(self, letter: bytes) -> None:
        async for attempt in stamina.retry_context(on=FAILED, attempts=None, timeout=_TRY_S, wait_max=1.0):
            with attempt:
                await self._client.xadd(self._keys.deadletters, {"letter": letter}, maxlen=dead_letters.KEEP)

    async def close(self) -> None:
        """Write what is left, and close the connection."""
        await asyncio.gather(*self._writing)
        await self._client.aclose()
