"""The Celery app of the workers: `celery -A tasks worker -Q depth,trade,basket`."""

import gc
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown, worker_ready, worker_shutdown

from tasks import tracing
from tasks.environment import READ_BY_CELERY
from tasks.errors import SettingsError
from tasks.settings import Settings, load
from tasks.telemetry import configure_logging, configure_structlog, tell_hints


def _settings() -> Settings:
    """Return the settings, once they are all that Celery goes by; a fault of theirs ends the process in one line."""
    try:
        settings = load()
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None
    # Whichever of Celery's commands this is, most of which log nothing.
    configure_structlog(settings, "celery")
    tell_hints(settings)
    # Celery would read them before its configuration; its command line has put the value of BROKER_URL there, too.
    for name in READ_BY_CELERY:
        os.environ.pop(name, None)
    return settings


_settings()
# The loader and the fix-ups are named so that no variable of the environment does.
app = Celery("tasks", include=["tasks.process"], loader="celery.loaders.app:AppLoader", fixups=[])
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
