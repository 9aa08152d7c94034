"""The name of the Celery task, in the messages of any version."""

TASK_NAME = "tasks.process"
