"""Handling of each frame: numbered, parsed, and sent on, skipped or refused. No I/O."""

import time
from collections.abc import Callable, Mapping

from ingest.counters import Counters
from ingest.lanes import Lanes
from ingest.lanes.frame_partitions import FramePartitions
from ingest.refused_frames import RefusedFrames
from tasks.events import AnyEvent, Event
from tasks.frames.model import RefusedFrame, SkippedFrame
from tasks.frames.plausibility import FrameReader
from tasks.telemetry import tracing


class FrameHandler:
    """Numbers, parses and routes the frames of a source."""

    def __init__(
        self,
        lanes: Lanes,
        counters: Counters,
        refused: RefusedFrames,
        offer: Callable[[AnyEvent, str, int], None],
        observe: Callable[[AnyEvent], None],
        *,
        counts: bool | FramePartitions = True,
        reader: FrameReader | None = None,
    ) -> None:
        """`offer` queues an event with its trace and the time of its frame in the stream, `observe` shows it to who watches the feed.

        `counts`: whether this shard counts frames and keeps refused ones (shard 0 does); of partitions, each shard does
        so with its own.
        """
        self._lanes, self._counters, self._refused = lanes, counters, refused
        self._offer, self._observe = offer, observe
        self._reader = reader or FrameReader()
        self._counts = counts is True
        self._partitions = counts if isinstance(counts, FramePartitions) else None

    def deliver(
        self,
        subject: str,
        raw: bytes,
        headers: Mapping[str, str] | None = None,
        seq: int = 0,
        stored_at_ns: int | None = None,
    ) -> None:
        """Parse one frame: queue its event, or count why it has none. Whatever its bytes are, nothing is raised.

        `seq` is the number that the source gave it, from 1; 0: none, and it takes the next one. `stored_at_ns` is when
        the source stored it, unix nanoseconds, if it did; `headers` are those of its NATS message.
        """
        outcome = self._reader.read(raw, subject, self._lanes.next_seq(seq), time.time_ns(), stored_at_ns)
        counts = (self._counts if self._partitions is None else self._owns(subject)) and (
            self._lanes.last_seq > self._counters.counted
        )
        if isinstance(outcome, Event):
            if counts:
                self._counters.event(outcome.venue, outcome.kind)
            self._offer(outcome, tracing.extract_trace(headers, raw), stored_at_ns or 0)
            self._observe(outcome)
        elif counts:
            self._count_other(outcome, subject, raw)

    def _owns(self, subject: str) -> bool:
        """Whether a frame is one of ours that is not counted yet."""
        number = self._partitions.owned(subject) if self._partitions else None
        before = self._counters.counted_by
        return number is not None and (number >= len(before) or self._lanes.last_seq > before[number])

    def refuse(self, subject: str, raw: bytes) -> None:
        """Count a frame that no shard reads, and keep it as a dead letter if it is an event."""
        outcome = self._reader.read(raw, subject, 0, time.time_ns())
        if not isinstance(outcome, Event):
            self._count_other(outcome, subject, raw)

    def _count_other(self, outcome: SkippedFrame | RefusedFrame, subject: str, raw: bytes) -> None:
        self._counters.add("frames")
        if isinstance(outcome, SkippedFrame):
            self._counters.add("skipped", outcome.kind)
        else:
            self._refused.add(outcome, subject, raw)
