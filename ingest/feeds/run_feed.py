"""Runs a feed until it ends or a signal ends it."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from tasks.event_loop import new_event_loop


def run(feed: Coroutine[Any, Any, None]) -> None:
    """Run `feed`. SIGINT and SIGTERM cancel it; when it has cleaned up, that signal ends the process."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        received = runner.run(_until_signal(feed))
    if received is not None:
        signal.signal(received, signal.SIG_DFL)
        signal.raise_signal(received)


async def _until_signal(feed: Coroutine[Any, Any, None]) -> signal.Signals | None:
    task = asyncio.create_task(feed)
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
    return received[0] if received else None
