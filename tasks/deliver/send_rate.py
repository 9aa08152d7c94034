"""A limit of how many messages a second go out. Pure: who uses it has the clock."""


class SendRate:
    """Spreads messages evenly."""

    def __init__(self, per_second: float) -> None:
        """Allow so many a second; 0 allows any number."""
        self._interval_s = 1 / per_second if per_second else 0.0
        self._next_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Take a turn; return how long to wait for it, by a monotonic clock that shows `now_s`."""
        turn_s = max(now_s, self._next_s)
        self._next_s = turn_s + self._interval_s
        return turn_s - now_s
