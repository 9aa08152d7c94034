"""One simulation: servers, processes, a feed and faults, all of one seed; and what must be true at its end."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from random import Random
from typing import Any

from tasks.events import AnyEvent
from tasks.ledger import LedgerKeys, script
from tasks.protocol.batches import Batch
from tasks.protocol.notice import WORKERS_NOTICE
from tests.simulation import afterwards, faults, workload
from tests.simulation.ending import Ending
from tests.simulation.follower import Follower
from tests.simulation.given_up import GivenUp
from tests.simulation.in_force import ConfigurationsInForce
from tests.simulation.ingest_process import (
    FixedConfiguration,
    KnownWorkers,
    SimulatedIngest,
    active_configuration,
    settings,
    shards,
)
from tests.simulation.invariants import Invariants, Violation
from tests.simulation.plan import Plan
from tests.simulation.reference import Reference
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.servers.lua import sha1
from tests.simulation.servers.nats_client import NatsClient
from tests.simulation.servers.nats_server import NatsServer
from tests.simulation.servers.network import Network
from tests.simulation.servers.redis_client import AsyncClient, RedisLink
from tests.simulation.servers.redis_server import RedisServer
from tests.simulation.trace import BEGIN, Trace
from tests.simulation.worker_process import ProcessEndedError, Roster, SimulatedWorker

KEYS = LedgerKeys("rs")
#: A supervisor starts again what ended after this.
RESTART_S = 0.5
#: When everything must be done, after the last fault; where an event is fatal, its batch is halved until it is alone.
PATIENCE_S, PATIENCE_WITH_FATAL_S = 90.0, 300.0
#: How many tasks may come again.
RECENT_TASKS = 12


class World:
    """Everything that a simulation consists of."""

    keys = KEYS

    def __init__(self, plan: Plan, scheduler: Scheduler) -> None:
        self.plan, self.scheduler, self.trace = plan, scheduler, Trace(scheduler.time)
        self.random: Random = scheduler.random
        self.redis = RedisServer(scheduler.time)
        self.nats = NatsServer(scheduler.time, keeps_signals=plan.keeps_signals)
        self.redis_network: Network = Network(self.random)
        self.nats_network: Network = Network(self.random)
        self.redis_network.weather = self.nats_network.weather = plan.weather
        self.reference = Reference(plan.frames)
        self.invariants = Invariants(self.redis, self.reference, KEYS, plan)
        self.redis.on_write = self._keeping_the_first(self._on_write)
        self.in_force = ConfigurationsInForce(
            self.redis, KEYS, "" if plan.is_reconfigured else workload.configuration().version
        )
        self.follower = Follower(self.in_force) if plan.is_followed else None
        self.given_up = GivenUp()
        self._ending = Ending(self)
        #: The task that each process has run last.
        self._carried: dict[Process, Sequence[Batch[AnyEvent]]] = {}
        #: What the scripts are called: a planted bug changes their text.
        self._commit, self._reset = (sha1(script(name).encode()) for name in ("commit", "reset"))
        self.redis.on_script = self._keeping_the_first(self._on_script)
        self.nats.partitions = plan.frame_partitions
        self.nats.on_signal = self._keeping_the_first(self.invariants.check_published)
        self.partitions, self.total = plan.partitions, plan.shards
        #: Those that run.
        self.ingests: dict[Process, SimulatedIngest] = {}
        self.workers: list[Process] = []
        self.faults = self._started = 0
        #: The last tasks: queue and message.
        self.recent: deque[tuple[str, bytes]] = deque(maxlen=RECENT_TASKS)
        self.redis.on_task = self._on_task
        #: What is to happen to the process that begins the next run.
        self._in_run: list[Callable[[Process], None]] = []
        #: By number of the event: how many more processes it ends.
        self.deadly: dict[int, int] = {}
        self.problem: BaseException | None = None
        prefix = settings("core", shards(1)[0]).celery_prefix
        self.roster = Roster(plan, prefix, self.random, self.later, self._tell_of_workers)

    def _on_task(self, queue: bytes, message: bytes) -> None:
        self.recent.append((queue.decode(), message))
        self.roster.on_task(queue)

    def _tell_of_workers(self) -> None:
        self.redis.execute("PUBLISH", KEYS.notices, WORKERS_NOTICE)

    def log(self, who: str, text: str) -> None:
        """Add a line to the trace."""
        self.trace.add(who, text)

    def _keeping_the_first(self, observe: Callable[..., None]) -> Callable[..., None]:
        """Have the first violation kept where it happens: whoever meets it may go on, and write again."""

        def kept(*arguments: Any) -> None:
            try:
                observe(*arguments)
            except Violation as violation:
                self.problem = self.problem or violation
                raise

        return kept

    def _on_write(self) -> None:
        self.invariants.check()
        if self.follower:
            self.in_force.note_changes()

    def _on_script(self, sha: bytes, keys: Sequence[bytes], arguments: Sequence[bytes], reply: Any) -> None:
        process = self.scheduler.current
        self.trace.add_script(process.name, sha, keys, arguments, reply)
        if sha == BEGIN and self._in_run and process in self.workers:
            self._in_run.pop()(process)
        if sha == self._commit and process in self.ingests:
            self.given_up.on_commit(arguments[-1], reply)
            self.invariants.gave_up = bool(self.given_up.events)
        elif self.follower and sha == self._commit:
            self.follower.on_commit(arguments[-1], reply, self._carried.get(process, ()))
        elif self.follower and sha == self._reset:
            self.follower.on_reset(keys[0], arguments[2:], reply)

    def in_next_run(self, action: Callable[[Process], None]) -> None:
        """Do something to the worker that begins the next run."""
        self._in_run.append(action)

    def forget_waiting_faults(self) -> None:
        """Let nothing happen to the next runs and events any more."""
        self._in_run.clear()
        self.deadly.clear()

    # Processes

    def start_ingest(self, number: int) -> None:
        """Start an ingest process of a shard, if the layout has it."""
        if number >= self.total:
            return
        self._started += 1
        process = Process(f"ingest {number} #{self._started}")
        mode = "jetstream" if self.plan.is_stream else "core"
        chosen = settings(mode, shards(self.total)[number], self.plan.frame_partitions)

        def make() -> SimulatedIngest:
            nats = NatsClient(self.nats, self.nats_network)
            client = AsyncClient.over(RedisLink(self.redis, self.redis_network))
            log = lambda text: self.log(process.name, text)  # noqa: E731 short
            link = RedisLink(self.redis, self.redis_network)
            configuration = active_configuration(chosen, link) if self.plan.is_reconfigured else FixedConfiguration()
            ingest = self.ingests[process] = SimulatedIngest(
                chosen, self.pool_partitions, client, nats, KnownWorkers(self.roster.workforce), configuration, log,
                probes_workers=self.plan.has_own_queues,
            )  # fmt: skip
            return ingest

        async def main() -> None:
            await self._supervised(make().run())
            self.stop(process)
            self.later(RESTART_S, lambda: self.start_ingest(number))

        self.log(process.name, "starts")
        self.scheduler.start(process, main)

    def start_worker(self, number: int) -> None:
        """Start a worker process."""
        process = Process(f"worker {number}")
        self.workers.append(process)
        queues = self.roster.join(process)
        if self.plan.has_own_queues:
            self.log(process.name, f"starts, with the queue {queues[-1].decode()}")

        async def main() -> None:
            link = RedisLink(self.redis, self.redis_network)
            log = lambda text: self.log(process.name, text)  # noqa: E731 short
            eager = self.random.random() < 0.5
            worker = SimulatedWorker(
                link,
                KEYS.namespace,
                queues,
                log,
                eager=eager,
                is_reconfigured=self.plan.is_reconfigured,
                dies_of=self._dies_of,
            )
            with suppress(ProcessEndedError):
                await self._supervised(worker.run())
            self.log(process.name, "ends")
            self.stop(process)
            self.later(RESTART_S, lambda: self.start_worker(number))

        self.scheduler.start(process, main)

    async def _supervised(self, running: Coroutine[Any, Any, Any]) -> None:
        try:
            await running
        except ProcessEndedError:
            raise
        except Exception as error:
            self.problem = self.problem or error
            raise

    def _dies_of(self, carried: Sequence[Batch[AnyEvent]]) -> bool:
        self._carried[self.scheduler.current] = carried
        self.given_up.on_run(carried)
        for event in (event for batch in carried for event in batch.events):
            if self.deadly.get(event.seq):
                self.deadly[event.seq] -= 1
                return True
        return False

    def stop(self, process: Process) -> None:
        """Kill a process."""
        self.scheduler.kill(process)
        self.ingests.pop(process, None)
        if process in self.workers:
            self.workers.remove(process)
            self.roster.leave(process)

    def later(self, after_s: float, action: Callable[[], Any]) -> None:
        """Do something later, as nobody's deed."""
        self.scheduler.call_later(after_s, action, context=Context())

    # The run

    async def run(self) -> None:
        """Run it to its end. Raises Violation."""
        for shard in range(self.total):
            for _ in range(self.plan.ingests):
                self.start_ingest(shard)
        for number in range(self.plan.workers):
            self.start_worker(number)
        while not self.plan.is_stream and len(self.leaders()) < self.total:
            # Who is not there yet misses what plain NATS brings.
            if self.problem:
                raise self.problem
            await asyncio.sleep(0.1)
        for at_s, (subject, data) in zip(self.plan.times_s, self.plan.frames, strict=True):
            self.later(at_s, partial(self.nats.publish_frame, subject, data))
        for fault in self.plan.faults:
            self.later(fault.at_s, partial(faults.happen, fault, self))
        beating = asyncio.ensure_future(self._serve())
        await asyncio.sleep(self.plan.calm_from_s)
        faults.heal(self)
        await self._until_done()
        if not self.plan.is_complete:
            self.forget_waiting_faults()
            await asyncio.sleep(afterwards.SETTLES_S)
            await self._until_done()
            await afterwards.publish_more(self)
            await self._until_done()
        beating.cancel()
        self._ending.check()

    async def _serve(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self.nats.serve()

    async def _until_done(self) -> None:
        patience_s = PATIENCE_WITH_FATAL_S if self.plan.is_fatal else PATIENCE_S
        end_s = self.scheduler.now_s + patience_s
        while not self._ending.is_done:
            if self.problem:
                raise self.problem
            if self.scheduler.now_s > end_s:
                raise Violation(f"after {patience_s:g} s without faults it is not done: {self._ending.what_waits()}")
            await asyncio.sleep(0.5)
        if self.problem:
            raise self.problem

    @property
    def pool_partitions(self) -> int:
        """How many lanes the pool by symbol has: with frames by partition a multiple of the shards."""
        return self.partitions * (2 if self.plan.frame_partitions else 1)

    def leaders(self) -> list[SimulatedIngest]:
        """Return those that lead their shards, as far as they know."""
        return [each for each in self.ingests.values() if each.components.lifecycle.started]

    @property
    def has_begun(self) -> bool:
        """Whether every shard of this layout has begun an epoch that Redis knows of."""
        stored = (self.redis.data.get(KEYS.shard(shard).encode(), {}) for shard in range(self.total))
        return all(b"epoch" in shard for shard in stored)
