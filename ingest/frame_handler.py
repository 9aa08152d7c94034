"""What happens to each frame: numbered, parsed, and sent on, skipped or refused. No I/O."""

import time
from collections import deque
from collections.abc import Callable, Mapping

import structlog

from ingest.counters import Counters
from ingest.implausible import ImplausibleFrames
from ingest.lanes import Lanes
from tasks.events import AnyEvent, Depth, Trade
from tasks.frames.model import Refused, Skipped
from tasks.protocol import dead_letters
from tasks.protocol.plausibility import DEFAULT_LIMITS, FrameReader, Limits
from tasks.telemetry import tracing
from tasks.telemetry.log_throttle import LogThrottle

#: How many refused frames wait for the next checkpoint at most; more are counted but not kept.
MAX_LETTERS = 1_000
log = structlog.get_logger()


class FrameHandler:
    """Takes frames from the source."""

    def __init__(
        self,
        lanes: Lanes,
        tally: Counters,
        offer: Callable[[AnyEvent, str], None],
        see: Callable[[AnyEvent], None],
        *,
        counts: bool = True,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`offer` queues an event with its trace, `see` shows it on the page."""
        self._lanes, self._tally, self._offer, self._see = lanes, tally, offer, see
        self._reader = FrameReader(limits)
        self.implausible = ImplausibleFrames()
        #: Dead letters of refused frames, packed, for the next checkpoint.
        self.letters: deque[bytes] = deque(maxlen=MAX_LETTERS)
        #: Whether frames are counted here, and the refused ones kept, or by another shard.
        self._counts = counts
        #: Frames up to this number were counted before.
        self.counted = 0
        self._throttle = LogThrottle()
        self._unlogged = 0

    def deliver(
        self,
        subject: str,
        raw: bytes,
        headers: Mapping[str, str] | None = None,
        seq: int = 0,
        stored_at_ns: int | None = None,
    ) -> None:
        """Take one frame."""
        outcome = self._reader.read(raw, subject, self._lanes.next_seq(seq), time.time_ns(), stored_at_ns)
        counts = self._counts and self._lanes.last_seq > self.counted
        if isinstance(outcome, (Depth, Trade)):
            if counts:
                self._tally.event(outcome.venue, outcome.kind)
            self._offer(outcome, tracing.extract_trace(headers, raw))
            self._see(outcome)
        elif counts:
            self._count_other(outcome, subject, raw)

    def _count_other(self, outcome: Skipped | Refused, subject: str, raw: bytes) -> None:
        self._tally.add("frames")
        if isinstance(outcome, Skipped):
            self._tally.add("skipped", outcome.kind)
        else:
            self._refuse(outcome, subject, raw)

    def _refuse(self, refused: Refused, subject: str, raw: bytes) -> None:
        self._tally.add("refused", refused.reason)
        self.implausible.note(refused.reason, refused.detail)
        if len(self.letters) == MAX_LETTERS:
            self._tally.add("letters_lost")
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
