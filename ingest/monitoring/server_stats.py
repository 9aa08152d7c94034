"""State of the servers, queried every few seconds, for the metrics, the page and the memory guard."""

import asyncio
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import redis.asyncio as redis
from redis.exceptions import ResponseError

from ingest.lanes.layout import refuse_moving
from ingest.lanes.task_packing import Workforce
from ingest.ledger import IngestLedger
from ingest.monitoring.entry_refusals import EntryRefusals
from ingest.monitoring.error_counts import ErrorCounts
from ingest.monitoring.ledger_totals import read_totals
from ingest.monitoring.memory_guard import MemoryGuard
from ingest.monitoring.other_ledgers import FIRST, OtherLedgers
from ingest.monitoring.recent_counts import RecentCounts
from tasks import invocation
from tasks.clients.redis_client import FAILED
from tasks.ledger import heartbeats
from tasks.protocol import redis_storage
from tasks.protocol.counters import Counts
from tasks.protocol.findings import Finding, other_ledgers, refusals, unavailable_results, workforce
from tasks.protocol.routing import Pool
from tasks.protocol.task_name import runs_sweeps_alone
from tasks.protocol.worker_kinds import is_always_readable, old_workers, unreadable_pools
from tasks.settings import mask

#: How long each server may take to tell of itself.
ANSWER_S = 2.0


class _Info(NamedTuple):
    """What a server tells of its memory and its disk."""

    told: Mapping[str, Any]
    #: Why it does not answer; empty where it does.
    unavailable: str = ""


class ServerStats(msgspec.Struct, frozen=True):
    """The last answers of the servers. A value is None where Redis's access rules forbid the command."""

    #: Tasks that wait in each pool's queue.
    queues: Mapping[str, int]
    workers: int
    #: Those workers.
    workforce: Workforce
    deadletters: int
    #: How many there have ever been.
    deadletters_written: int
    #: Age of the oldest of them; 0: there is none.
    deadletter_age_s: float
    signals_waiting: int | None
    #: Of the server that is fullest, where there are several.
    redis_used_bytes: int | None
    redis_limit_bytes: int | None
    #: Of the ledger's server: it alone has something to lose.
    redis_save_failing: bool | None
    #: Whether any to which this shard's batches write is so full that none goes out.
    redis_full: bool = False
    #: Workers that refused a control command lately, and which.
    refused: Sequence[tuple[str, str]] = ()
    #: The live workers.
    living: Sequence[heartbeats.LiveWorker] = ()
    #: Why the Redis of the results does not answer; empty where it does, or has other work too.
    results_unavailable: str = ""
    #: What the servers lose of what they have.
    losses: Sequence[Finding] = ()


class ServerProbe:
    """Queries Redis for its memory, the queues and the live workers."""

    def __init__(
        self, ledger: IngestLedger, pools: Iterable[Pool], memory_guard: MemoryGuard, *, allows_eviction: bool = False
    ) -> None:
        """Report to `memory_guard` how full Redis is; `allows_eviction`: it may delete keys of the ledger."""
        self._allows_eviction = allows_eviction
        self._ledger, self._pools, self._memory_guard = ledger, tuple(pools), memory_guard
        self._servers, self.other_ledgers = ledger.servers, OtherLedgers(ledger.servers, ledger.keys)
        self._pool_names = [pool.name for pool in self._pools]
        self._always_readable = all(map(is_always_readable, self._pools))
        self.seen: ServerStats | None = None
        #: Errors by strategy, as the ledger counts them.
        self.errors = ErrorCounts()
        #: How long strategies take, as the ledger counts it.
        self.times = RecentCounts("strategy_events", "strategy_ns")
        #: What ingest and the workers take of the frames, all shards together.
        self.taken = RecentCounts("events", "applied")
        self._entry_refusals = EntryRefusals()
        #: The sums of all ledgers, as far as each has ever answered.
        self.counters = Counts()
        #: Whether this shard's ledger has ever counted an event.
        self.had_events = False
        self._living: Sequence[heartbeats.LiveWorker] = ()
        #: One after the other, so that an older answer never replaces a newer one.
        self._asking = asyncio.Lock()

    def workforce(self) -> Workforce | None:
        """Return the workers; None where they are unknown."""
        return self.seen.workforce if self.seen else None

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with the workers, while it is known, and the strategies that raise."""
        if self.seen:
            yield from workforce(self.seen.workforce.listening, self._pool_names, invocation.command("celery"))
            yield from old_workers(self.seen.living, self._pools)
            known = {worker.name: worker.ledgers for worker in _of_pools(self.seen.living)}
            yield from other_ledgers(known, len(self._servers.ledger_urls))
            yield from refusals(self.seen.refused)
            yield from self.seen.losses
            if self.seen.results_unavailable:
                yield unavailable_results(mask(self._servers.results_url), self.seen.results_unavailable)
        yield from self._entry_refusals.findings(time.monotonic())
        yield from self.errors.findings(time.monotonic())
        yield from self.other_ledgers.findings()

    def held_pools(self) -> frozenset[str]:
        """Return the pools of which nothing may go out: not every worker of theirs is known to read them."""
        if self._always_readable:
            return frozenset()
        return frozenset(unreadable_pools(self.seen.living if self.seen else (), self._pools))

    async def check_servers(self) -> None:
        """Raise SettingsError where Redis may delete keys of the ledger and that is not allowed, or a move has left it.

        Called before anything is written: a server that was left stays as it is. Raises what Redis raises.
        """
        for server in {self._ledger.client, self._servers.first}:
            layout: Any = await server.get(self._ledger.keys.layout)
            refuse_moving(layout or b"")
        if not self._allows_eviction:
            redis_storage.check_eviction(mask(self._servers.ledger_url), (await _info(self._ledger.client)).told)

    async def ask(self) -> None:
        """Query all servers. Raises what Redis raises; the last answers are forgotten then."""
        # Before anybody waits for the answers: a server that hangs takes its time.
        infos, _ = await asyncio.gather(self._infos(), self.other_ledgers.ask())
        async with self._asking:
            try:
                self.seen = await self._ask(infos)
            except BaseException:
                self.seen = None
                raise

    async def ask_workers(self) -> None:
        """Query only the workers, in one round trip. Raises what Redis raises; the last answers are kept then."""
        async with self._asking:
            if self.seen is not None:
                self.seen = msgspec.structs.replace(self.seen, **_of_workers(await self._workers()))
                return
        await self.ask()

    async def _ask(self, infos: Mapping[str, _Info]) -> ServerStats:
        own = await read_totals(self._ledger.client, self._ledger.keys)
        living = await self._workers()
        by_shard = {self._servers.shard: own, **self.other_ledgers.totals}
        self.counters = Counts.sum_of((own.counters, self.other_ledgers.counts))
        for takes in (self.errors, self.times, self.taken, self._entry_refusals):
            for shard, each in by_shard.items():
                takes.take(each.counters, each.at_s, shard)
        self.had_events = own.counters.of("events") > 0
        totals = by_shard.values()
        fullest = max((info.told for info in infos.values()), key=_share)
        results_alone = self._servers.results_url not in {self._servers.ledger_url, self._servers.broker_url}
        return ServerStats(
            queues=await self._ledger.queued(self._pool_names),
            **_of_workers(living),
            deadletters=sum(each.deadletters for each in totals),
            deadletters_written=sum(each.deadletters_written for each in totals),
            deadletter_age_s=max(each.deadletter_age_s for each in totals),
            signals_waiting=_sum(each.signals_waiting for each in totals),
            redis_used_bytes=fullest.get("used_memory"),
            redis_limit_bytes=fullest.get("maxmemory"),
            redis_save_failing=redis_storage.save_failing(infos[self._servers.ledger_url].told),
            redis_full=self._memory_guard.full,
            results_unavailable=infos[self._servers.results_url].unavailable if results_alone else "",
            losses=[*self._losses(infos)],
        )

    async def _workers(self) -> Sequence[heartbeats.LiveWorker]:
        """Return the live workers; where another ledger that has them is unavailable, those that it had last."""
        if self._servers.has_other_first:
            await self.other_ledgers.attempt(FIRST, self._read_workers)
        else:
            await self._read_workers()
        return self._living

    async def _read_workers(self) -> None:
        self._living = await heartbeats.read_async(self._servers.first, self._ledger.keys)

    def _losses(self, infos: Mapping[str, _Info]) -> Iterator[Finding]:
        for url, info in infos.items():
            is_ledger = url == self._servers.ledger_url
            what = "Redis" if is_ledger else f"Redis {mask(url)}"
            yield from redis_storage.findings(
                what, info.told, is_ledger=is_ledger, allows_eviction=self._allows_eviction
            )

    async def _infos(self) -> dict[str, _Info]:
        """Return the state of every server, by its URL, and pass it on to the memory guard."""
        servers = self._servers.by_url
        infos = dict(zip(servers, await asyncio.gather(*map(_info, servers.values())), strict=True))
        # One server may be used under two logins, as the first ledger and as the broker.
        written = {*map(mask, self._servers.written_urls)}
        for url, info in infos.items():
            used, limit, server = info.told.get("used_memory"), info.told.get("maxmemory"), mask(url)
            self._memory_guard.poll(server, used, limit, is_written=server in written)
        return infos


def _of_pools(living: Sequence[heartbeats.LiveWorker]) -> list[heartbeats.LiveWorker]:
    """Return those that commit: not the ones which run sweeps alone."""
    return [worker for worker in living if not runs_sweeps_alone(worker.queues)]


def _of_workers(living: Sequence[heartbeats.LiveWorker]) -> dict[str, Any]:
    """Return the fields of `ServerStats` that tell of workers."""
    of_pools = _of_pools(living)
    return {
        "workers": len(of_pools),
        "workforce": Workforce((worker.queues, worker.processes) for worker in of_pools),
        "living": living,
        "refused": [(worker.name, worker.refused) for worker in living if worker.refused],
    }


def _sum(values: Iterable[int | None]) -> int | None:
    """Return the sum of those that are known; None: none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


async def _info(client: redis.Redis) -> _Info:
    """Return INFO's memory and persistence; nothing where the server forbids it, or is unavailable.

    That is reported where the server is needed.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            with suppress(ResponseError):
                return _Info(await client.info("memory", "persistence"))
            # While Redis can't write to its disk, it refuses the PING that goes before on a connection that was idle.
            return _Info(await client.info("memory", "persistence"))
    except ResponseError:
        return _Info({})
    except FAILED as error:
        return _Info({}, str(error) or f"nothing within {ANSWER_S:g} s")


def _share(info: Mapping[str, Any]) -> float:
    limit_bytes = info.get("maxmemory") or math.inf
    return float(info.get("used_memory", 0) / limit_bytes)
