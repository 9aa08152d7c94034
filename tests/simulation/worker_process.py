"""A simulated worker process: Celery's part in a few lines, and the real runner, engine and ledger."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import redis

from tasks.configuration.bound_strategy import BoundStrategy
from tasks.errors import LedgerError
from tasks.events import AnyEvent
from tasks.ledger import Ledger
from tasks.protocol import batches
from tasks.protocol.batches import Batch
from tasks.worker import runner
from tasks.worker.strategy_cache import StrategyCache
from tests.simulation import workload
from tests.simulation.scheduler import blocking
from tests.simulation.servers.redis_client import BlockingClient, RedisLink

#: How long a worker waits for a task before it looks whether its connection stands.
WAIT_S = 3.0
RETRY_S = 0.2
#: How often it looks whether the ledger has lost configurations: more often than a real one.
RESTORE_S = 3.0


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
