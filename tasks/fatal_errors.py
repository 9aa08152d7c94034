"""Which exceptions out of a strategy's code are fatal: not the strategy's fault, so that the run must end uncommitted.

Whatever a strategy raises itself is its error on that event, SystemExit and KeyboardInterrupt included. Fatal are:

    a signal handler of Celery   that ran while the strategy did: a shutdown, a soft time limit
    Ctrl-C                       KeyboardInterrupt that no `raise` statement raised
    memory that is used up       MemoryError, where there is none left once the strategy's frames are gone; asking for
                                 too much at once, or raising it, is the strategy's error
"""

import dis
import traceback
from collections.abc import Callable
from types import TracebackType

#: So much must be there for a run to go on.
ROOM_BYTES = 16 << 20
#: Packages whose code runs within a strategy's only as a signal handler.
_HANDLERS = ("celery", "billiard")

IsFatal = Callable[[BaseException], bool]


def is_fatal(error: BaseException, room_bytes: int = ROOM_BYTES) -> bool:
    """Whether `error`, raised while a strategy's code ran, is not the strategy's own.

    Frees what a MemoryError holds.
    """
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)
        return not _has(room_bytes)
    frames = [step for step, _ in traceback.walk_tb(error.__traceback__)]
    if any(frame.f_globals.get("__name__", "").partition(".")[0] in _HANDLERS for frame in frames):
        return True
    return isinstance(error, KeyboardInterrupt) and not _was_raised(error.__traceback__)


def _has(room_bytes: int) -> bool:
    try:
        bytearray(room_bytes)
    except MemoryError:
        return False
    return True


def _was_raised(tb: TracebackType | None) -> bool:
    """Whether a `raise` statement did it, and no signal handler in C."""
    while tb and tb.tb_next:
        tb = tb.tb_next
    return tb is not None and dis.opname[tb.tb_frame.f_code.co_code[tb.tb_lasti]] == "RAISE_VARARGS"
