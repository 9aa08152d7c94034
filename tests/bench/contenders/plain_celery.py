"""Plain Celery: a task an event, as the tutorial has it. `celery -A tests.bench.contenders.plain_celery worker`."""

from typing import Any

from celery import Celery

from tasks.settings import load
from tests.bench.contenders.tasks_of_one import publish_events, work_on

app = Celery("bench", broker=load().redis_url)


@app.task(ignore_result=True)
def handle(arguments: Any) -> None:
    """Work on one event."""
    work_on(arguments)


if __name__ == "__main__":
    # Under its own name, so that tasks carry the name that workers know.
    from tests.bench.contenders.plain_celery import handle as task

    publish_events(task.delay)
