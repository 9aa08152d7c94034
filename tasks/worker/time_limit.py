"""The limit of a run: what takes longer, or all memory, ends its process."""

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache

from tasks.protocol.strikes import NO_MEMORY_STATUS


@lru_cache(maxsize=1)
def _die_of_alarms() -> None:
    """Have SIGALRM end this process, as it does by default, after a traceback on standard error."""
    faulthandler.register(signal.SIGALRM, file=sys.__stderr__ or sys.stderr, chain=True)


@contextmanager
def bounded(limit_s: float) -> Iterator[None]:
    """End this process, with a traceback on standard error, if the block takes longer or all memory. In both pools.

    The timer is the kernel's, and what it calls is C: it also ends a strategy that loops endlessly in C code or holds
    the interpreter's lock. A timer of faulthandler's would start a thread for each batch.
    """
    _die_of_alarms()
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    except MemoryError:
        # Celery would end the whole worker for it, and with it what the other children of its pool run.
        with suppress(MemoryError):
            traceback.print_exc()
        os._exit(NO_MEMORY_STATUS)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
