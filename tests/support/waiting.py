"""Waiting for a condition: no test sleeps, and none proves a time limit by its patience (`test_time_limits.py` does)."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from compose.local import waiting

T = TypeVar("T")

#: Ends what hangs and says nothing about speed: a busy machine may need a hundred times what a quiet one does.
HANGS_S = 60.0


def wait_for(condition: Callable[[], T], what: str = "it", *, hangs_s: float = HANGS_S) -> T:
    """Return the first true answer of `condition`. Raises TimeoutError after a minute or, if that is longer, `hangs_s`."""
    return waiting.wait_for(condition, max(hangs_s, HANGS_S), what)


async def cancelled(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
