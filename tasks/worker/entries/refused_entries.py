"""What a worker does with an entry of its queues that it refuses: it counts, logs and keeps it as a dead letter."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import structlog
from celery import current_task

from tasks.clients.redis_client import FAILED
from tasks.protocol import dead_letters
from tasks.protocol.counters import CounterKey
from tasks.protocol.queue_entry import RefusedEntry
from tasks.telemetry.log_throttle import LogThrottle
from tasks.worker import worker_metrics
from tasks.worker.without_result import without_result

#: So many a process keeps in so many seconds; more are counted only. Whoever floods a queue floods nothing else.
MAX_KEPT, WITHIN_S = 100, 600.0
#: Writes a dead letter, packed, and adds to a counter of the ledger.
Keep = Callable[[bytes, CounterKey], None]
log = structlog.get_logger()


class RefusedEntries:
    """The refusals of one process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._throttle = LogThrottle()
        self._unlogged = self._kept = 0
        self._since_s = now()

    def add(self, keep: Keep, refused: RefusedEntry) -> None:
        """Take a refusal, which `keep` is given."""
        worker_metrics.count("worker_foreign_tasks")
        if self._may_keep():
            letter = dead_letters.refused_entry(refused.why, refused.queue, refused.raw)
            keep(dead_letters.pack(letter), CounterKey("entries_refused", worker_metrics.pool_label(refused.queue)))
        self._unlogged += 1
        if self._throttle.allow():
            size_bytes, queue = len(refused.raw), refused.queue
            log.warning("refused a queue entry", queue=queue, why=refused.why, bytes=size_bytes, count=self._unlogged)
            self._unlogged = 0

    def _may_keep(self) -> bool:
        if self._now() - self._since_s > WITHIN_S:
            self._since_s, self._kept = self._now(), 0
        self._kept += 1
        return self._kept <= MAX_KEPT


_payloads = RefusedEntries()


@contextmanager
def ignored_if_foreign(payload: bytes, keep: Keep) -> Iterator[None]:
    """Leave a task without a result whose payload the block can't decode; `keep` may raise what Redis raises."""
    try:
        yield
    except (msgspec.MsgspecError, TypeError) as error:
        queue = (current_task.request.delivery_info or {}).get("routing_key") or ""
        try:
            _payloads.add(keep, RefusedEntry(queue, f"not the payload of a task of ours: {error}", payload))
        except FAILED as unavailable:
            log.warning("a dead letter could not be written", error=str(unavailable))
        raise without_result() from None
