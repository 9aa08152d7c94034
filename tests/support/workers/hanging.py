"""The workers' app, and a main loop that stands still once a file is there: `celery -A tests.support.workers.hanging`."""

import os
import time
from pathlib import Path
from typing import Any

from celery.signals import worker_ready

from tasks.celery import app

__all__ = ["app"]


def _hang() -> None:
    while Path(os.environ["HANG_FILE"]).exists():
        time.sleep(0.1)


@worker_ready.connect
def _watch(sender: Any, **_: Any) -> None:
    sender.hub.call_repeatedly(0.1, _hang)
