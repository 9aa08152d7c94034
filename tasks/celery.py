"""The Celery app of the workers: `./run celery -A tasks worker -Q depth,trade,basket`."""

import gc
import sys
from typing import Any

import structlog
from celery import Celery
from celery.app.utils import Settings as CelerySettings
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown, worker_ready, worker_shutdown

from tasks.errors import SettingsError
from tasks.settings import load
from tasks.telemetry import tracing
from tasks.telemetry.logs import configure_logging, configure_structlog, log_hints
from tasks.telemetry.terminal import accept_any_text


def _check_settings() -> None:
    """End the process in one line where the settings can't be used, whichever of Celery's commands it is."""
    try:
        load()
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


def _by_configuration(name: str) -> property:
    return property(lambda conf: conf.get(name) or conf.get(name.replace("_read", "").replace("_write", "")))


accept_any_text()
_check_settings()
# Celery asks the environment for these before its configuration, and its command line puts BROKER_URL and --broker
# there: worker and Flower would be elsewhere than everybody else.
for _name in ("broker_url", "broker_read_url", "broker_write_url", "result_backend"):
    setattr(CelerySettings, _name, _by_configuration(_name))
# The loader and the fix-ups are named so that no variable of the environment does.
app = Celery(
    "tasks", include=["tasks.worker.task", "tasks.worker.research"], loader="celery.loaders.app:AppLoader", fixups=[]
)
app.config_from_object("celeryconfig")


@app.on_after_configure.connect
def _log_what_is_not_used(**_: Any) -> None:
    """Called when Celery's command line has been read, and before a worker logs anything."""
    if not structlog.is_configured():
        configure_structlog(load(), "celery")
    log_hints(load())


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
