"""The exception that leaves a task without a result."""

import gc
import itertools

from celery.exceptions import Ignore

#: For each one Celery copies its own frames, up to half a megabyte that only the garbage collector frees again, and
#: that one counts objects, not bytes.
_COLLECT_EVERY = 16
_count = itertools.count(1)


def without_result() -> Ignore:
    """Return what a task raises to leave no result; free what earlier ones have left behind."""
    if next(_count) % _COLLECT_EVERY == 0:
        gc.collect()
    return Ignore()
