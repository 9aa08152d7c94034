"""Warnings that may come often are let through once in a while."""

import time

LOG_INTERVAL_S = 10.0


class Rarely:
    """Lets a repeated warning through once in a while."""

    def __init__(self, interval_s: float = LOG_INTERVAL_S) -> None:
        """Allow one in `interval_s`."""
        self._interval_s = interval_s
        self._next_s = 0.0

    def __bool__(self) -> bool:
        """Whether it is time again; asking uses it up."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._interval_s
        return True
