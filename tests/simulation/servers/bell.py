"""Waiting until something happens."""

import asyncio
from contextvars import copy_context


class Bell:
    """Wakes who waits for it, or time does: what `asyncio.wait` does for one future, in a third of its time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter = self._loop.create_future()
        #: Of the process that waits; others ring.
        self._context = copy_context()
        #: Whether to ring still wakes somebody.
        self._is_on = True

    def ring(self) -> None:
        """Wake who waits."""
        if self._is_on:
            self._is_on = False
            self._loop.call_soon(self._wake, context=self._context)

    async def wait(self, within_s: float) -> None:
        """Wait until it rings, or so long."""
        timer = self._loop.call_later(within_s, self._wake)
        try:
            await self._waiter
        finally:
            self._is_on = False
            timer.cancel()

    def _wake(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)
