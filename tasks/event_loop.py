"""The event loop, how tasks on it end, and what signals do to it."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's loop where there is one, else asyncio's."""
    try:
        import uvloop  # noqa: PLC0415 not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks until they have ended: a client library may take a cancellation for a time-out and go on."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=0.2)


@contextmanager
def on_signals(handle: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Have SIGTERM and SIGINT handled on the running loop."""
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, handle, each)
    yield
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(each)
