"""Waiting for a condition with a deadline: no test sleeps."""

from collections.abc import Callable
from typing import TypeVar

from compose.local import waiting

T = TypeVar("T")

#: Ends what hangs and says nothing about speed: a busy machine may need a hundred times what a quiet one does.
HANGS_S = 60.0


def wait_for(condition: Callable[[], T], timeout_s: float = HANGS_S, what: str = "it") -> T:
    """Return the first true answer of `condition`. Raises TimeoutError after `timeout_s`, but not within a minute."""
    return waiting.wait_for(condition, max(timeout_s, HANGS_S), what)
