"""The Celery app of the workers: `celery -A tasks worker -Q depth,trade,basket`."""

from typing import Any

from celery import Celery
from celery.signals import setup_logging

from tasks.settings import load
from tasks.telemetry import configure_logging

app = Celery("tasks", include=["tasks.process"])
app.config_from_object("celeryconfig")


@setup_logging.connect
def _log_as_we_do(**_: Any) -> None:
    configure_logging(load())
