"""A simulated worker process: Celery's part in a few lines, and the real runner, engine and ledger."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

import msgspec
import redis

from ingest.lanes.task_packing import Workforce
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.errors import LedgerError
from tasks.events import AnyEvent
from tasks.ledger import Ledger
from tasks.protocol import batches
from tasks.protocol.batches import Batch
from tasks.protocol.task_name import worker_queue
from tasks.worker import runner
from tasks.worker.strategy_cache import StrategyCache
from tests.simulation import workload
from tests.simulation.plan import Plan
from tests.simulation.scheduler import Process, blocking
from tests.simulation.servers.redis_client import BlockingClient, RedisLink

#: How long a worker waits for a task before it looks whether its connection stands.
WAIT_S = 3.0
RETRY_S = 0.2
#: How often it looks whether the ledger has lost configurations: more often than a real one.
RESTORE_S = 3.0
#: Within which time ingest learns that a worker has started, which says so itself, and within which that one has ended:
#: said by it, or seen once its heartbeat is too old. A batch is overdue after one second at the earliest.
STARTS_WITHIN_S = 0.5
ENDS_WITHIN_S = (0.3, 3.0, 11.0)


class _Entry(msgspec.Struct):
    """What is read of an entry of a queue."""

    #: In base64, which msgspec reads.
    body: bytes


_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_body = msgspec.msgpack.Decoder(tuple[tuple[bytes], Any, Any]).decode


def payload(message: bytes) -> bytes:
    """Return what the task in a queue's message carries."""
    (packed,), _, _ = _decode_body(_decode_entry(message).body)
    return packed


class ProcessEndedError(Exception):
    """The process ends in the middle of a run."""


class Roster:
    """The workers that live, the queues that they take tasks from, and those that ingest can know of."""

    def __init__(
        self,
        plan: Plan,
        queue_prefix: str,
        random: Random,
        later: Callable[[float, Callable[[], None]], None],
        tell: Callable[[], None],
    ) -> None:
        """`later` calls something so many seconds later; `tell` publishes the notice that the workers have changed."""
        self._plan, self._prefix, self._random, self._later, self._tell = plan, queue_prefix, random, later, tell
        self._pool_queues = [self._key(pool) for pool in workload.STRATEGIES]
        #: By the name of a process: how many times it has come as another pod, with a name of its own.
        self._pods = Counter[str]()
        #: The name of the queue that each worker has for itself.
        self._own: dict[Process, str] = {}
        #: By queue: how many workers take tasks from it, as far as ingest can know.
        self._known = Counter[str]()
        #: All queues that there ever were.
        self.queues = list(self._pool_queues)
        #: How many tasks went to the queue of one worker.
        self.own_tasks = 0

    def _key(self, queue: str) -> bytes:
        return f"{self._prefix}{queue}".encode()

    def join(self, process: Process) -> Sequence[bytes]:
        """Return the keys of the queues that a worker which starts takes tasks from.

        Its own has the name that it had, or in half of the cases a new one, as that of a new pod has.
        """
        if not self._plan.has_own_queues:
            return self._pool_queues
        if not self._pods[process.name] or self._random.random() < 0.5:
            self._pods[process.name] += 1
        self._own[process] = queue = worker_queue(f"{process.name.split()[1]}-{self._pods[process.name]}")
        self._learn(queue, 1, STARTS_WITHIN_S)
        self.queues.append(self._key(queue))
        return [*self._pool_queues, self._key(queue)]

    def leave(self, process: Process) -> None:
        """Note that a worker has ended; what is in its queue stays there."""
        if queue := self._own.pop(process, None):
            self._learn(queue, -1, self._random.choice(ENDS_WITHIN_S))

    def _learn(self, queue: str, more: int, within_s: float) -> None:
        self._later(within_s * self._random.random(), partial(self._become_known, queue, more))

    def _become_known(self, queue: str, more: int) -> None:
        self._known[queue] += more
        if self._random.random() < 0.5:
            self._tell()

    def workforce(self) -> Workforce | None:
        """Return the workers that ingest can know of; None where it counts none."""
        pools = list(workload.STRATEGIES)
        if self._plan.has_own_queues:
            return Workforce(([*pools, queue], 1) for queue, count in self._known.items() for _ in range(count))
        return Workforce([(pools, 1)] * self._plan.workers) if self._plan.counts_workers else None

    def on_task(self, queue: bytes) -> None:
        """Count a task."""
        self.own_tasks += queue not in self._pool_queues


class SimulatedWorker:
    """One worker process, of all pools."""

    def __init__(
        self,
        link: RedisLink,
        namespace: str,
        queues: Sequence[bytes],
        log: Callable[[str], None],
        *,
        eager: bool,
        is_reconfigured: bool,
        dies_of: Callable[[Sequence[Batch[AnyEvent]]], bool],
    ) -> None:
        """`eager`: commit each batch of a task for itself. `dies_of`: called when a run begins; whether the process ends.

        `is_reconfigured`: batches may name any configuration, which has to be read.
        """
        self._dies_of = dies_of
        self._link, self._queues, self._log = link, queues, log
        self._ledger = Ledger(BlockingClient.over(link), namespace)
        self._find = StrategyCache(RESTORE_S, time.monotonic).find if is_reconfigured else _find
        self._commit_after_s = -1.0 if eager else math.inf

    async def run(self) -> None:
        """Take one task after another. Never ends."""
        while True:
            try:
                message = await self._link.pop(self._queues, WAIT_S)
                if message is not None:
                    await self._process(payload(message))
            except redis.RedisError as error:
                self._log(f"failed: {error}")
                await self._link.pause(RETRY_S)
            except LedgerError as error:
                self._log(f"refused: {error}")

    async def _process(self, packed: bytes) -> None:
        carried = batches.unpack(packed)

        def work() -> Any:
            if self._dies_of(carried):
                self._ledger.begin([(batch, ()) for batch in carried])
                raise ProcessEndedError
            return runner.run(carried, self._ledger, self._find, commit_after_s=self._commit_after_s)

        await blocking(work)


def _find(_: Ledger, __: str, pool: str) -> Sequence[BoundStrategy]:
    return workload.STRATEGIES[pool]
