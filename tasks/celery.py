"""The Celery app of the workers: `celery -A tasks worker -Q depth,trade,basket`."""

import gc
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown, worker_ready, worker_shutdown

from tasks import tracing
from tasks.settings import load
from tasks.telemetry import configure_logging

app = Celery("tasks", include=["tasks.process"])
app.config_from_object("celeryconfig")


@setup_logging.connect
def _log_as_we_do(**_: Any) -> None:
    configure_logging(load(), "worker")
    tracing.prepare()


@worker_process_init.connect
def _trace(**_: Any) -> None:
    tracing.start("worker")


@worker_process_init.connect
@worker_ready.connect
def _freeze(**_: Any) -> None:
    # What is there by now stays. Without this, a full collection looks through it again and again, for 60 ms, and makes
    # a child's copy of every page that it shares with its parent.
    gc.freeze()


# The first of a prefork pool's children, also of those that are replaced; the second of the solo pool.
@worker_process_shutdown.connect
@worker_shutdown.connect
def _trace_no_more(**_: Any) -> None:
    tracing.stop()
