"""Publishes batches as Celery tasks, on the event loop.

Celery's own publisher blocks, so it would need a thread, and takes ten times the CPU of what is here. A message in
Redis is plain: Celery's headers and body (its message protocol 2) in kombu's envelope, pushed to the list that is the
pool's queue. `tests/integration/ingest/dispatch/test_celery_publisher.py` holds it to what Celery itself would have put
there.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from tasks.protocol import batches
from tasks.protocol.batches import Batch
from tasks.protocol.celery_codec import CONTENT_ENCODING, CONTENT_TYPE
from tasks.protocol.task_name import TASK_NAME, WORKER_QUEUE_PREFIX

#: Celery's options of a task without callbacks.
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
#: What stands in the queue of a worker that is gone is sent again long before; then Redis forgets it.
WORKER_QUEUE_MS = 60_000
log = structlog.get_logger()
_pack = msgspec.msgpack.Encoder().encode
_to_json = msgspec.json.Encoder().encode


class OutgoingTask(NamedTuple):
    """One Celery task to be published."""

    #: Of one shard, and of pools that the same workers serve: any of their queues will do.
    carried: Sequence[Batch[msgspec.Raw]]
    description: str
    headers: Mapping[str, str] = {}
    #: How often its batches have been sent, this time included.
    tries: int = 1
    #: That of one worker; empty: that of the first batch's pool.
    queue: str = ""


class CeleryPublisher:
    """Publishes each task to the queue of one worker, or to that of its first batch's pool."""

    def __init__(self, broker: Redis, queue_prefix: str, origin: str) -> None:
        """`origin` names the sender in each task."""
        self._broker, self._queue_prefix, self._origin = broker, queue_prefix, origin
        #: Whether Redis lets us write to the queues of single workers. Permissions written for an earlier release do not.
        self._may_prefer = True

    async def send(self, tasks: Sequence[OutgoingTask]) -> None:
        """Put tasks into their queues, in one round trip.

        Raises what Redis raises; any of them may have arrived all the same.
        """
        try:
            await self._push(tasks)
        except NoPermissionError:
            preferred = [task for task in tasks if task.queue]
            if not self._may_prefer or not preferred:
                raise
            self._may_prefer = False
            log.warning(
                "no permission for the queues of single workers: tasks go to those of pools",
                key=self._key(f"{WORKER_QUEUE_PREFIX}*"),
            )
            await self._push(preferred)

    async def _push(self, tasks: Sequence[OutgoingTask]) -> None:
        async with self._broker.pipeline(transaction=False) as pipe:
            for task in tasks:
                own = task.queue if self._may_prefer else ""
                pipe.lpush(self._key(own or task.carried[0].pool), message(task, self._origin))
                if own:
                    pipe.pexpire(self._key(own), WORKER_QUEUE_MS)
            await pipe.execute()

    def _key(self, queue: str) -> str:
        return f"{self._queue_prefix}{queue}"


def message(task: OutgoingTask, origin: str) -> bytes:
    """Return a task as it stands in its queue."""
    task_id = batches.task_id(task.carried, task.tries)
    body = _pack(((batches.pack(task.carried),), {}, _EMBED))
    properties = {
        "correlation_id": task_id,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": task.carried[0].pool},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": task_id,
    }
    envelope = {
        "body": b64encode(body).decode(),
        "content-encoding": CONTENT_ENCODING,
        "content-type": CONTENT_TYPE,
        "headers": _headers(task, task_id, origin),
        "properties": properties,
    }
    return _to_json(envelope)


def _headers(task: OutgoingTask, task_id: str, origin: str) -> dict[str, Any]:
    return {
        "lang": "py",
        "task": TASK_NAME,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": (None, None),
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": task.description,
        "kwargsrepr": "{}",
        "origin": origin,
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        **task.headers,
    }
