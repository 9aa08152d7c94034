"""Celery's result store in Redis, a round trip less for each result, and without harm where one can't be stored.

Only Flower shows results. So a store that does not answer is given a second (`celeryconfig`), and none is stored for
the next half minute (`store_breaker`).
"""

from typing import Any

import structlog
from celery import states
from celery.backends.base import BaseKeyValueStoreBackend
from celery.backends.redis import RedisBackend, SentinelBackend
from kombu.exceptions import OperationalError
from redis.exceptions import ResponseError

from tasks.clients.redis_client import FAILED, is_cut_off
from tasks.telemetry.log_throttle import LogThrottle
from tasks.worker.store_breaker import StoreBreaker

#: Its annotations know nothing of what a store overrides.
_Store: Any = BaseKeyValueStoreBackend


log = structlog.get_logger()
_throttle, _breaker = LogThrottle(), StoreBreaker()


class _OneTrip(_Store):  # type: ignore[misc]  # on purpose
    """Stores a success at once.

    Celery first reads what is stored, because a success must not be replaced; only what is no success may do that.
    """

    def store_result(self, task_id: str, result: Any, state: str, *arguments: Any, **options: Any) -> Any:
        """Store a result, or say that it can't be: what it is about is committed or will be sent again all the same.

        Celery would call the task failed, and lose count of what a solo worker is at.
        """
        if not _breaker.allows:
            return result
        try:
            return super().store_result(task_id, result, state, *arguments, **options)
        except (*FAILED, OperationalError) as error:
            # A refusal is an answer, and comes at once.
            if not isinstance(error, ResponseError):
                _breaker.failed()
            elif is_cut_off(error):
                # The Sentinels may name another master: a new connection asks them.
                self.client.connection_pool.disconnect(inuse_connections=False)
            if _throttle.allow():
                log.warning("a result could not be stored", task_id=task_id, why=str(error))
            return result

    def _store_result(self, task_id: str, result: Any, state: str, *arguments: Any, **options: Any) -> Any:
        if state != states.SUCCESS:
            return super()._store_result(task_id, result, state, *arguments, **options)
        meta = self._get_result_meta(result, state, *arguments, **options) | {"task_id": task_id}
        self._set_with_state(self.get_key_for_task(task_id), self.encode(meta), state)
        return result

    def _set(self, key: bytes, value: str, expires: int | None = None) -> None:
        """Write and publish in one go, which need not be a transaction."""
        with self.client.pipeline(transaction=False) as pipe:
            pipe.set(key, value, ex=expires or self.expires)
            pipe.publish(key, value)
            pipe.execute()


class OneTripRedis(_OneTrip, RedisBackend):
    """At a URL of Redis."""


class OneTripSentinel(_OneTrip, SentinelBackend):
    """At URLs of Sentinels."""
