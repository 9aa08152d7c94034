"""What happens to each frame: numbered, parsed, and sent on, skipped or refused. No I/O."""

import time
from collections import deque
from collections.abc import Callable

import structlog

from ingest.lanes import Lanes
from ingest.rarely import Rarely
from ingest.tally import Tally
from tasks import deadletters
from tasks.events import AnyEvent
from tasks.frames import Arrival, Refused, Skipped, parse

#: How many refused frames wait for the next checkpoint at most; more are counted but not kept.
MAX_LETTERS = 1_000
log = structlog.get_logger()


class Intake:
    """Takes frames from the source."""

    def __init__(self, lanes: Lanes, tally: Tally, offer: Callable[[AnyEvent], None]) -> None:
        self._lanes, self._tally, self._offer = lanes, tally, offer
        #: Dead letters of refused frames, packed, for the next checkpoint.
        self.letters: deque[bytes] = deque(maxlen=MAX_LETTERS)
        self._rarely = Rarely()
        self._unlogged = 0

    def deliver(self, subject: str, raw: bytes) -> None:
        """Take one frame."""
        outcome = parse(raw, Arrival(subject, self._lanes.next_seq(), time.time_ns()))
        self._tally.add("frames")
        if isinstance(outcome, Skipped):
            self._tally.add(f"skipped:{outcome.kind}")
        elif isinstance(outcome, Refused):
            self._refuse(outcome, subject, raw)
        else:
            self._tally.add("events")
            self._tally.events[outcome.venue, outcome.kind] += 1
            self._offer(outcome)

    def _refuse(self, refused: Refused, subject: str, raw: bytes) -> None:
        self._tally.add(f"refused:{refused.reason}")
        if len(self.letters) == MAX_LETTERS:
            self._tally.add("letters_lost")
        self.letters.append(deadletters.pack(deadletters.refused(refused.reason, refused.detail, subject, raw)))
        self._unlogged += 1
        if self._rarely:
            log.warning(
                "frames refused",
                count=self._unlogged,
                last_reason=refused.reason,
                detail=refused.detail,
                subject=subject,
            )
            self._unlogged = 0
