"""Publishes batches as Celery tasks, off the event loop: kombu blocks."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from celery import Celery

from tasks import batches
from tasks.batches import Batch

TASK = "tasks.process"


class Dispatcher:
    """One thread with one connection to the broker."""

    def __init__(self) -> None:
        # No result backend on this side: with one, every publish would subscribe to its result and unsubscribe again.
        self._app = Celery("ingest", set_as_current=False)
        self._app.config_from_object("celeryconfig")
        self._app.conf.update(result_backend="disabled://")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dispatch")

    async def send(self, batch: Batch[msgspec.Raw], description: str, headers: Mapping[str, str] | None = None) -> None:
        """Put a batch into the queue of its pool. Raises what kombu raises; it may have arrived all the same."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._send, batch, description, headers)

    def _send(self, batch: Batch[msgspec.Raw], description: str, headers: Mapping[str, str] | None) -> None:
        options: dict[str, Any] = {"argsrepr": description, "kwargsrepr": "{}", "retry": False, "headers": headers}
        self._app.send_task(TASK, (batches.pack(batch),), task_id=batch.task_id, queue=batch.pool, **options)

    def close(self) -> None:
        """Wait for what is being sent, then let go of the broker."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._app.close()
