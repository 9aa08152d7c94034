"""What ingest counts: once, for the metrics and for the ledger's summary alike."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ingest.lanes import Lanes

#: Counters that carry a label: name in the ledger → name of the metric, its label, its help.
_LABELLED = {
    "skipped": ("ingest_frames_skipped", "kind", "Frames of other kinds"),
    "refused": ("ingest_frames_refused", "reason", "Malformed frames, kept in the dead letters"),
    "dropped": ("ingest_events_dropped", "reason", "Events that had to go unprocessed"),
    "held": ("ingest_signals_held", "reason", "Signals that were not relayed"),
}
_PLAIN = {
    "frames": ("ingest_frames", "Frames received from NATS"),
    "events": ("ingest_events", "Frames that are depth or trade events"),
    "committed": ("ingest_lane_events_committed", "Events whose commit is known, once for each pool"),
    "batches_sent": ("ingest_batches_sent", "Batches sent to the queue, copies not counted"),
    "resends": ("ingest_batches_resent", "Copies of batches sent because no commit was known in time"),
    "relayed": ("ingest_signals_relayed", "Signals published to NATS"),
    "unpublishable": ("ingest_signals_unpublishable", "Signals that can never be published, now dead letters"),
    "letters_lost": ("ingest_deadletters_lost", "Refused frames that were not kept, because Redis was away too long"),
    "redis_went_back": ("ingest_redis_went_back", "Times that Redis had forgotten what it had acknowledged"),
    "slow_consumer": ("ingest_slow_consumer", "Times NATS said that frames were dropped because we were slow"),
}


class Tally:
    """Counts that only rise, and what of them the ledger does not know yet."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.unwritten: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        """Count; a labelled counter is named `refused:not_json`."""
        self.totals[name] += count
        self.unwritten[name] += count

    def take_unwritten(self) -> Counter[str]:
        """Give what the ledger does not know yet, and take it as written."""
        taken, self.unwritten = self.unwritten, Counter()
        return taken


class Collector:
    """Gives the counts and the state of the lanes to Prometheus."""

    def __init__(self, tally: Tally, lanes: Lanes, parts: dict[str, bool]) -> None:
        self._tally, self._lanes, self._parts = tally, lanes, parts

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of ingest."""
        totals = dict(self._tally.totals)
        for name, (metric, text) in _PLAIN.items():
            yield CounterMetricFamily(metric, text, value=totals.get(name, 0))
        for name, (metric, label, text) in _LABELLED.items():
            family = CounterMetricFamily(metric, text, labels=[label])
            for key, count in totals.items():
                if key.startswith(f"{name}:"):
                    family.add_metric([key.partition(":")[2]], count)
            yield family
        waiting = GaugeMetricFamily("ingest_lane_held_events", "Events that are not committed yet", labels=["lane"])
        trip = GaugeMetricFamily("ingest_lane_round_trip_seconds", "Smoothed time from send to commit", labels=["lane"])
        for lane in self._lanes:
            waiting.add_metric([str(lane.id)], lane.held)
            trip.add_metric([str(lane.id)], lane.round_trip.smoothed_s or 0.0)
        yield waiting
        yield trip
        up = GaugeMetricFamily("ingest_part_up", "1 while the part is there", labels=["part"])
        for part, there in self._parts.items():
            up.add_metric([part], float(there))
        yield up
        yield GaugeMetricFamily(
            "ingest_held_bytes", "Bytes of the events that are not committed yet", self._lanes.held_bytes
        )
