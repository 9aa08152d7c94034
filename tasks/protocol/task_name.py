"""The names of Celery tasks, in the messages of any version, and of the queue that is no pool's."""

TASK_NAME = "tasks.process"
#: A slice of a sweep.
RESEARCH_TASK_NAME = "tasks.research"
RESEARCH_QUEUE = "research"
