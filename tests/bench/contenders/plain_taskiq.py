"""Taskiq on Redis: a task an event. `taskiq worker tests.bench.contenders.plain_taskiq:broker --workers 2`."""

import asyncio
from typing import Any

from taskiq_redis import ListQueueBroker

from tasks.settings import load
from tests.bench.contenders.tasks_of_one import publish_events, work_on

broker = ListQueueBroker(load().redis_url)


@broker.task(task_name="handle")
def handle(arguments: Any) -> None:
    """Work on one event."""
    work_on(arguments)


if __name__ == "__main__":
    sending: set[asyncio.Task[Any]] = set()

    def send(arguments: Any) -> None:
        """Send without waiting: NATS's callbacks are not coroutines here."""
        task = asyncio.get_running_loop().create_task(handle.kiq(arguments))
        sending.add(task)
        task.add_done_callback(sending.discard)

    publish_events(send)
