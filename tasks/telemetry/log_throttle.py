"""Limits how often a repeated warning is logged."""

import time

LOG_INTERVAL_S = 10.0


class LogThrottle:
    """Allows a repeated warning once in an interval."""

    def __init__(self, interval_s: float = LOG_INTERVAL_S) -> None:
        """Allow one warning in `interval_s`; the first at once. 0 allows every one."""
        self._interval_s = interval_s
        self._next_s = 0.0

    def allow(self) -> bool:
        """Return whether a warning may be logged now; the next one may after the interval."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._interval_s
        return True
