"""Waiting for something that other processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.02


def wait_for(condition: Callable[[], T], timeout_s: float, what: str = "it") -> T:
    """Ask `condition` every 20 ms; return its first true answer. Raises TimeoutError, which names `what`."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"timed out after {timeout_s:g} s waiting for {what}")
        time.sleep(_POLL_S)
    return answer
