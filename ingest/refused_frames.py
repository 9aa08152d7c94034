"""Keeps the frames that were refused: counted by reason, logged now and then, kept as dead letters. No I/O.

The rules of refusal are in `tasks/frames`: `parser` reads the bytes, `plausibility` compares prices.
"""

from collections import deque

import structlog

from ingest.counters import Counters
from ingest.implausible import ImplausibleFrames
from tasks.frames.model import RefusedFrame
from tasks.protocol import dead_letters
from tasks.telemetry.log_throttle import LogThrottle

#: How many wait for the next checkpoint at most; more are counted but not kept.
MAX_LETTERS = 1_000
log = structlog.get_logger()


class RefusedFrames:
    """Refused frames that are not in a checkpoint yet."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.implausible = ImplausibleFrames()
        #: Dead letters, packed, for the next checkpoint.
        self.letters: deque[bytes] = deque(maxlen=MAX_LETTERS)
        self._throttle = LogThrottle()
        self._unlogged = 0

    def add(self, refused: RefusedFrame, subject: str, raw: bytes) -> None:
        """Count a refused frame by its reason, keep its dead letter for the next checkpoint, and log it now and then.

        Beyond `MAX_LETTERS` the oldest letter is dropped, and counted as `letters_lost`.
        """
        self._counters.add("refused", refused.reason)
        self.implausible.note(refused.reason, refused.detail)
        if len(self.letters) == MAX_LETTERS:
            self._counters.add("letters_lost")
        self.letters.append(dead_letters.pack(dead_letters.refused(refused.reason, refused.detail, subject, raw)))
        self._unlogged += 1
        if self._throttle.allow():
            log.warning(
                "frames refused",
                count=self._unlogged,
                last_reason=refused.reason,
                detail=refused.detail,
                subject=subject,
            )
            self._unlogged = 0
