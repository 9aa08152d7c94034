"""Ends a strategy that does not come to an end: by an exception within its code, so that its traceback says where.

What computes is ended after a time of computing, and so at the same place on a busy machine; what only waits, after
twice that time by the clock.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: What waits has so much longer than what computes.
_WAITING_TIMES = 2
_TICKS = 20
#: A slice that takes so much longer than it may is stuck where no exception gets: its process is ended.
_STUCK_TIMES = 3
#: How often it is tried again, where the strategy catches the exception.
_AGAIN_S = 0.1


def stuck_s(limit_s: float, budget_s: float) -> float:
    """Return after how long a slice is stuck, in seconds; `limit_s` is how long a call of a strategy may take."""
    return _STUCK_TIMES * limit_s + budget_s


class HangError(BaseException):
    """Raised within a strategy's code that does not come to an end. No strategy catches it as an Exception."""


@contextmanager
def no_hang(limit_s: float) -> Iterator[None]:
    """Raise HangError out of the block when it takes too long. In the main thread only."""
    over = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        # One may be in transit as the strategy ends.
        if not over.is_set():
            raise HangError

    before = signal.signal(signal.SIGVTALRM, end)
    watch = threading.Thread(target=_watch, args=(threading.get_ident(), limit_s, over), daemon=True)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s, _AGAIN_S)
    watch.start()
    try:
        yield
    finally:
        over.set()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        watch.join()
        signal.signal(signal.SIGVTALRM, before)


def _watch(thread: int, limit_s: float, over: threading.Event) -> None:
    # In ticks: a process that was stopped, as SIGSTOP does, has not waited meanwhile.
    for _ in range(_TICKS):
        if over.wait(_WAITING_TIMES * limit_s / _TICKS):
            return
    while not over.wait(_AGAIN_S):
        signal.pthread_kill(thread, signal.SIGVTALRM)
