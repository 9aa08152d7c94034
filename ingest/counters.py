"""Counters of ingest: kept once, for the metrics and for the ledger's summary alike."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.events import Kind, Venue
from tasks.protocol.counters import EVENTS, FRAMES, Counts
from tasks.telemetry import latency
from tasks.telemetry.metrics import BATCH_BUCKETS, LATENCY_BUCKETS_S

#: So many pairs of venue and kind are counted apart.
MAX_STREAMS = 500


class Counted(NamedTuple):
    """Up to which frame of a source frames are counted; of some partitions, before another layout began, up to another."""

    seq: int = 0
    by_partition: Sequence[int] = ()


class Distribution:
    """A histogram. prometheus_client's costs ten times as much, and this one is updated with every event."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Take the upper bounds of the buckets, rising; a value above all of them is counted too."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, *values: float) -> None:
        """Count values; a bound belongs to the bucket below it."""
        for value in values:
            self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += sum(values)


class Counters:
    """Counts that only rise, and the part of them that is not in the ledger yet."""

    def __init__(self) -> None:
        self._totals, self._written = Counts(), Counts()
        #: Counts; with a label where the counter has one.
        self.add = self._totals.add
        #: How many of `events` are in the totals.
        self._added_events = 0
        #: Frames up to this number were counted before.
        self.counted = 0
        #: The same for each partition, where the layout has changed.
        self.counted_by: Sequence[int] = ()
        #: For the metrics only, by what they are.
        self.events: Counter[tuple[Venue, Kind]] = Counter()
        self.latency_s = Distribution(LATENCY_BUCKETS_S)
        self.event_age_s = Distribution(LATENCY_BUCKETS_S)
        self.round_trip_s = Distribution(LATENCY_BUCKETS_S)
        self.batch_events = Distribution(BATCH_BUCKETS)

    def left_out(self) -> dict[str, int]:
        """Return how many frames were no events, by kind; all that were refused are one kind."""
        refused = sum(self.totals.by_label("refused").values())
        return self.totals.by_label("skipped") | {"refused": refused}

    def event(self, venue: Venue, kind: Kind) -> None:
        """Count a frame that is an event. Called for each; the totals are told when somebody reads them."""
        key = venue, kind
        # The name of a venue comes from outside.
        if key not in self.events and len(self.events) >= MAX_STREAMS:
            key = "other", kind
        self.events[key] += 1

    @property
    def totals(self) -> Counts:
        """All counts."""
        events = self.events.total()
        self._totals[FRAMES] += events - self._added_events
        self._totals[EVENTS] += events - self._added_events
        self._added_events = events
        return self._totals

    def committed(self, now_ns: int, events: Iterable[tuple[int, int]]) -> None:
        """Count events whose commit is known now: of each when it came in, and when it happened.

        All in unix time, the first two in nanoseconds, the last one in milliseconds.
        """
        latencies_ns, ages_s = [], []
        for came_ns, time_ms in events:
            latencies_ns.append(now_ns - came_ns)
            ages_s.append(now_ns / 1e9 - time_ms / 1e3)
        self.add("committed", by=len(ages_s))
        for latency_ns in latencies_ns:
            self._totals[latency.counter(latency_ns)] += 1
        self.latency_s.add(*(latency_ns / 1e9 for latency_ns in latencies_ns))
        self.event_age_s.add(*ages_s)

    def restart(self, counted: Counted) -> None:
        """Count again from the frame after `counted`; the ledger is not to learn of what came since."""
        self.take_unwritten()
        self.counted, self.counted_by = counted

    @property
    def unwritten(self) -> Counts:
        """The counts that are not in the ledger yet."""
        return Counts(self.totals - self._written)

    def take_unwritten(self) -> Counts:
        """Return what the ledger does not have yet, and count it as written."""
        taken, self._written = self.unwritten, self.totals.copy()
        return taken
