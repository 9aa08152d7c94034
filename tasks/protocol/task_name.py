"""The names of Celery tasks, in the messages of any version, and of the queue that is no pool's."""

from collections.abc import Collection

TASK_NAME = "tasks.process"
#: A slice of a sweep.
RESEARCH_TASK_NAME = "tasks.research"
RESEARCH_QUEUE = "research"


def runs_sweeps_alone(queues: Collection[str]) -> bool:
    """Whether a worker that takes tasks from these queues does nothing but sweeps: no pool can count on it."""
    return set(queues) == {RESEARCH_QUEUE}
