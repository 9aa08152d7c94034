"""Watches a worker's processes, and writes their strikes into the ledger.

A prefork worker's main process watches its children. A solo worker runs the batches itself, so it forks a guard before
it takes any. Who starts a worker again may end what is left of the last one, the guard included, so the next worker
that starts on this machine reads what a solo worker left behind.
"""

import asyncio
import gc
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import stamina
import structlog
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from tasks.clients.redis_client import FAILED, async_connection_options, connect_async
from tasks.errors import LedgerError
from tasks.ledger import STARTS_EXPIRE_S, LedgerKeys, lane_field, script
from tasks.protocol import strikes
from tasks.protocol.routing import LaneId
from tasks.protocol.strikes import Strike
from tasks.settings import Settings
from tasks.worker.run_watch import POLL_S, RunWatch, left_behind

#: Then a strike is forgotten: the start of its run still counts.
_TRY_S = 10.0
log = structlog.get_logger()


def strike_arguments(keys: LedgerKeys, strike: Strike) -> tuple[list[str], list[str | int]]:
    """Return the KEYS and ARGV of `strike.lua`."""
    batch = strike.batch
    lane = LaneId(batch.pool, batch.partition)
    names = [keys.shard(batch.shard), keys.pool(batch.pool), keys.starts(lane)]
    return names, [
        batch.epoch, lane_field(lane), batch.prev, strike.field, strike.weight, STARTS_EXPIRE_S,
        strikes.MAX_STRIKES, strikes.strikes_field(batch.configuration), strike.strategy, strike.event,
        strikes.WINDOW_S, strike.why, keys.notices, strike.notice,
    ]  # fmt: skip


class StrikeWriter:
    """Writes strikes into the ledger."""

    def __init__(self, settings: Settings) -> None:
        """The connection opens at the first strike."""
        self._settings, self._keys = settings, LedgerKeys(settings.namespace)
        self._clients: dict[str, Redis] = {}

    async def write(self, strike: Strike) -> None:
        """Write a strike, and log it. Never raises what Redis raises."""
        said = {"strategy": strike.strategy, "pool": strike.batch.pool, "seq": strike.seq, "why": strike.why}
        try:
            async for attempt in stamina.retry_context(on=FAILED, attempts=None, timeout=_TRY_S, wait_max=1.0):
                with attempt:
                    answer: bytes = await self._script(strike)(*strike_arguments(self._keys, strike))
        except (*FAILED, LedgerError) as error:
            log.warning("a strategy ended its process, which could not be written down", **said, error=str(error))
        else:
            log.error("a strategy ended its process", **said, followed_by=answer.decode())

    def _script(self, strike: Strike) -> AsyncScript:
        """Return the script on the ledger of the batch's shard. Raises LedgerError: there is none."""
        url = self._settings.ledger_of(strike.batch.shard)
        if url not in self._clients:
            options = async_connection_options()
            self._clients[url] = connect_async(self._settings, url, **options)
        return self._clients[url].register_script(script("strike"))

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()


class ChildrenGuard:
    """Watches the children of this process, on its event loop."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._watch = RunWatch(directory, settings.run_limit_s)
        self._writer = StrikeWriter(settings)
        self._writing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._watch.poll_children()
            await asyncio.sleep(POLL_S)

    def ended(self, pid: int, exit_code: int | None) -> None:
        """Take the end of a child."""
        if strike := self._watch.ended(pid, exit_code):
            writing = asyncio.ensure_future(self._writer.write(strike))
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Write what is left, and close the connection."""
        await asyncio.gather(*self._writing)
        await self._writer.close()


def fork_guard(settings: Settings, directory: Path) -> None:
    """Fork a process that watches this one and ends with it. To be called before there are threads."""
    watched = os.getpid()
    if os.fork():
        return
    try:
        _guard(settings, directory, watched)
    except BaseException:
        log.exception("unexpected error: the guard of a solo worker ended")
    finally:
        os._exit(0)


def _guard(settings: Settings, directory: Path, watched: int) -> None:
    # It ends with the process that it watches, and no sooner. Of that one's sockets it holds none.
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(each, signal.SIG_IGN)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    gc.disable()
    watch = RunWatch(directory, settings.run_limit_s)
    while os.getppid() == watched:
        watch.observe(watched)
        time.sleep(POLL_S)


def write_left_behind(settings: Settings, directories: Iterable[Path]) -> None:
    """Write the strikes of solo workers that ended and left these directories.

    To be called before there are threads.
    """
    if found := list(left_behind(directories, settings.run_limit_s)):
        asyncio.run(_write(settings, found))


async def _write(settings: Settings, found: Iterable[Strike]) -> None:
    writer = StrikeWriter(settings)
    for strike in found:
        await writer.write(strike)
    await writer.close()
