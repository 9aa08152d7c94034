"""Runs what the service does again and again, and takes note when Redis or NATS fails it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis
import structlog
from nats.errors import Error as NatsError

from ingest.connectivity import Connectivity
from ingest.dispatch.redis_refusals import RedisRefusals
from tasks.clients.redis_client import FAILED, reason
from tasks.errors import LedgerError
from tasks.ledger.confirmation import UnconfirmedError
from tasks.ledger.lease import NotLeadingError

T = TypeVar("T")
log = structlog.get_logger()


class StepRunner:
    """Runs steps, and continues when a server fails one."""

    def __init__(self, connectivity: Connectivity, refusals: RedisRefusals) -> None:
        self._connectivity, self._refusals = connectivity, refusals

    async def run(self, step: Callable[[], Awaitable[T]]) -> T | None:
        """Run a step and return what it returns; None: a server failed it."""
        try:
            return await step()
        except (
            NatsError,
            NotLeadingError,
            UnconfirmedError,
        ) as error:  # first, because some of these are a TimeoutError too
            log.debug("step skipped", why=str(error) or type(error).__name__)
        except (redis.ResponseError, LedgerError) as error:
            self._refusals.record_own(reason(error))
        except FAILED as error:
            self._connectivity.lost("redis", str(error) or type(error).__name__)
        return None

    async def every(self, interval_s: float, step: Callable[[], Awaitable[None]]) -> None:
        """Run a step endlessly, with a pause between the end of one and the beginning of the next."""
        while True:
            await self.run(step)
            await asyncio.sleep(interval_s)
