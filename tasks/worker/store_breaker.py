"""A breaker: what does not answer is left alone for a while, instead of holding up each call. No I/O."""

import time
from collections.abc import Callable

#: How long it is left alone. A call that then fails too takes a second, so at most a thirtieth of the time is lost.
PAUSE_S = 30.0


class StoreBreaker:
    """Says whether a store may be tried now."""

    def __init__(self, pause_s: float = PAUSE_S, now: Callable[[], float] = time.monotonic) -> None:
        self._pause_s, self._now = pause_s, now
        self._closed_until_s = -float("inf")

    @property
    def allows(self) -> bool:
        """Whether it has not failed lately."""
        return self._now() >= self._closed_until_s

    def failed(self) -> None:
        """Note that it did not answer."""
        self._closed_until_s = self._now() + self._pause_s
