"""How often something may happen."""

import time
from collections.abc import Callable


class RateLimit:
    """Allows so many a second on average; after a pause, a burst of a second's worth at once."""

    def __init__(self, a_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a whole burst. `clock` tells seconds."""
        self._a_second, self._clock = a_second, clock
        self._left, self._at_s = a_second, clock()

    def allow(self) -> bool:
        """Return whether one more may happen now, and count it if so."""
        now_s = self._clock()
        self._left = min(self._a_second, self._left + (now_s - self._at_s) * self._a_second)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
