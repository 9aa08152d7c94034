"""The names of Celery tasks, in the messages of any version, and of the queues that are no pool's."""

from collections.abc import Collection

TASK_NAME = "tasks.process"
#: A slice of a sweep.
RESEARCH_TASK_NAME = "tasks.research"
RESEARCH_QUEUE = "research"
#: How the queue begins that one worker alone takes tasks from. No pool's name has a dot.
WORKER_QUEUE_PREFIX = "worker."


def runs_sweeps_alone(queues: Collection[str]) -> bool:
    """Whether a worker that takes tasks from these queues does nothing but sweeps: no pool can count on it."""
    return set(queues) == {RESEARCH_QUEUE}


def worker_queue(worker: str) -> str:
    """Return the queue that this worker alone takes tasks from, by the name in its heartbeat."""
    return f"{WORKER_QUEUE_PREFIX}{worker}"
