"""Dramatiq on Redis: a message an event. `dramatiq tests.bench.contenders.plain_dramatiq --processes 2 --threads 1`."""

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tasks.settings import load
from tests.bench.contenders.tasks_of_one import publish_events, work_on

dramatiq.set_broker(RedisBroker(url=load().redis_url))


@dramatiq.actor
def handle(arguments: Any) -> None:
    """Work on one event."""
    work_on(arguments)


if __name__ == "__main__":
    publish_events(handle.send)
