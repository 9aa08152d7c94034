"""What a task does in every queue that carries one event a task, and what puts events into such a queue."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import redis

from tasks.settings import load
from tests.bench.application import Desk
from tests.bench.contenders import store
from tests.bench.contenders.listening import listen


@lru_cache(maxsize=1)
def _desk() -> Desk:
    return Desk()


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(load().redis_url)


def work_on(arguments: Any) -> None:
    """Read the states, run the strategies, write the states: two round trips."""
    event, desk, client = store.event(arguments), _desk(), _client()
    fields = desk.fields(event)
    if not fields:
        return
    values: Any = client.hmget(store.key(event), fields)
    work = desk.run(event, dict(zip(fields, values, strict=True)))
    with client.pipeline(transaction=False) as pipe:
        store.write(pipe, event, work)
        pipe.execute()


def publish_events(send: Callable[[Any], Any]) -> None:
    """Validate each frame and send it as a task."""
    desk = Desk()

    def take(raw: bytes, subject: str, now_ns: int) -> None:
        event = desk.parse(raw, subject, now_ns)
        if event is not None and desk.pools(event):
            send(store.portable(event))

    listen(take)
