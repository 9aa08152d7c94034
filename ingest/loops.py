"""The event loop, and how tasks on it end."""

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Give uvloop's loop where there is one, else asyncio's."""
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
