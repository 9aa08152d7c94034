"""Tasks that Redis refuses to commit, or does not hold what they need: logged, and left without a result."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
import structlog

from tasks.clients.redis_client import reason
from tasks.errors import LedgerError
from tasks.telemetry.log_throttle import LogThrottle
from tasks.worker.without_result import without_result

log = structlog.get_logger()


class _RefusalLog:
    """Refusals by Redis, for the log: a new one at once, the same again at most once in an interval."""

    def __init__(self) -> None:
        self._throttle, self._last = LogThrottle(), ""

    def record(self, error: Exception) -> None:
        why = reason(error)
        if self._throttle.allow() or why != self._last:
            if isinstance(error, redis.ResponseError):
                log.error("Redis refuses what a batch needs: it is sent again", why=why)
            else:
                log.error("the ledger lacks what a batch needs: it is sent again", why=why)
        self._last = why


_refusals = _RefusalLog()


@contextmanager
def ignored_if_refused() -> Iterator[None]:
    """Log in one line what Redis refused or lacks, and leave the task without a result: ingest sends its batches again."""
    try:
        yield
    except (redis.ResponseError, LedgerError) as error:
        _refusals.record(error)
        raise without_result() from None
