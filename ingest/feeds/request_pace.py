"""How soon the exchange may be asked again. Pure: time is an argument, in monotonic seconds."""

from collections import deque

WINDOW_S = 60.0


class RequestPace:
    """Allows so many requests in any window, with a pause between two of them."""

    def __init__(self, in_window: int, pause_s: float, window_s: float = WINDOW_S) -> None:
        """Allow the first request at once."""
        self._pause_s, self._window_s = pause_s, window_s
        self._asked_s: deque[float] = deque(maxlen=in_window)
        self._not_before_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait for the next request."""
        due_s = self._not_before_s
        if self._asked_s:
            due_s = max(due_s, self._asked_s[-1] + self._pause_s)
        if len(self._asked_s) == self._asked_s.maxlen:
            due_s = max(due_s, self._asked_s[0] + self._window_s)
        return max(0.0, due_s - now_s)

    def record(self, now_s: float) -> None:
        """Record a request."""
        self._asked_s.append(now_s)

    def hold(self, until_s: float) -> None:
        """Allow none before a time: the exchange says so, or it does not answer."""
        self._not_before_s = max(self._not_before_s, until_s)
