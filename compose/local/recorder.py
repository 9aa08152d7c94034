"""What the demo's feed publishes, written down as `./run ingest record` does."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ingest.feeds.record import record
from tasks.errors import RecordingError
from tasks.settings import Settings
from tasks.telemetry.logs import configure_logging


def check(path: Path) -> None:
    """Raise RecordingError when a new file can't be written there. Writes nothing."""
    if path.exists():
        raise RecordingError(f"--record: {path} is there already")
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise RecordingError(f"--record: can't write into {path.parent}")


@asynccontextmanager
async def recording(settings: Settings, path: Path) -> AsyncIterator[asyncio.Task[None]]:
    """Record from the moment of the yield to the end of the block; the task is done before that if it has failed.

    Raises RecordingError and SettingsError, at the end of the block.
    """
    configure_logging(settings.model_copy(update={"log_level": "WARNING"}), "record")
    listening = asyncio.Event()
    task = asyncio.create_task(record(settings, path, seconds=None, force=False, on_listening=listening.set))
    began = asyncio.create_task(listening.wait())
    try:
        await asyncio.wait({task, began}, return_when=asyncio.FIRST_COMPLETED)
        yield task
    finally:
        began.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
