"""Exports to Prometheus what ingest knows, under the names of `tasks.telemetry.metrics`."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from ingest.counters import Counters, Distribution
from ingest.lanes import Lanes
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.findings import Findings
from ingest.monitoring.paper_figures import StrategyFigures
from ingest.monitoring.paper_probe import PaperProbe
from ingest.monitoring.server_stats import ServerProbe, ServerStats
from ingest.sources.base import Source
from tasks.protocol.counters import CounterName
from tasks.protocol.findings import NAMES
from tasks.telemetry.metrics import INGEST, Metric

#: Where the ledger's counters have another name than the metric.
_COUNTED: Mapping[str, CounterName] = {
    "ingest_frames": "frames",
    "ingest_slow_consumer": "slow_consumer",
    "ingest_events_committed": "committed",
    "ingest_batches_sent": "batches_sent",
    "ingest_batches_resent": "resends",
    "ingest_signals_relayed": "relayed",
    "ingest_signals_unpublishable": "unpublishable",
    "ingest_deadletters_lost": "letters_lost",
    "ingest_redis_went_back": "redis_went_back",
}
#: The same for those with a label.
_COUNTED_BY: Mapping[str, CounterName] = {
    "ingest_frames_skipped": "skipped",
    "ingest_frames_refused": "refused",
    "ingest_events_dropped": "dropped",
    "ingest_signals_held": "held",
}
#: Reasons that are there as zero from the start, so that the first time shows as a rise.
_KNOWN = {
    "ingest_events_dropped": ("conflated", "overflow", "expired", "stop"),
    "ingest_signals_held": ("stale", "refused"),
}
#: The servers' last answers, if there are any.
_SEEN: dict[str, Callable[[ServerStats], float | None]] = {
    "ingest_workers": lambda seen: seen.workers,
    "ingest_deadletters": lambda seen: seen.deadletters,
    "ingest_deadletters_written": lambda seen: seen.deadletters_written,
    "ingest_deadletter_age_seconds": lambda seen: seen.deadletter_age_s,
    "ingest_signals_waiting": lambda seen: seen.signals_waiting,
    "ingest_redis_used_bytes": lambda seen: seen.redis_used_bytes,
    "ingest_redis_limit_bytes": lambda seen: seen.redis_limit_bytes,
    "ingest_redis_save_failing": lambda seen: seen.redis_save_failing,
    "ingest_redis_full": lambda seen: seen.redis_full,
}
#: Of each strategy that has a paper account.
_EARNED: dict[str, Callable[[StrategyFigures], float | None]] = {
    "strategy_pnl": lambda earned: earned.pnl,
    "strategy_drawdown": lambda earned: earned.drawdown,
    "strategy_hit_rate": lambda earned: earned.hit_rate,
}

Samples = Iterator[tuple[tuple[str, ...], float]]


class Probes(NamedTuple):
    """What is asked of Redis every few seconds."""

    servers: ServerProbe
    paper: PaperProbe


class Exporter:
    """A collector of prometheus_client: it reads the values at the moment of the scrape."""

    def __init__(
        self,
        counters: Counters,
        lanes: Lanes,
        parts: Mapping[str, bool],
        probes: Probes,
        source: Source,
        feed: FeedWatch,
        findings: Findings,
    ) -> None:
        self._feed, self._findings = feed, findings
        self._counters, self._lanes, self._parts = counters, lanes, parts
        self._probes, self._source = probes, source
        self._histograms = {
            "ingest_batch_events": counters.batch_events,
            "ingest_round_trip_seconds": counters.round_trip_s,
            "pipeline_latency_seconds": counters.latency_s,
            "pipeline_event_age_seconds": counters.event_age_s,
        }

    def collect(self) -> Iterator[Family]:
        """Yield every metric of ingest."""
        samples = dict(self._samples())
        for metric in INGEST.values():
            if metric.type == "histogram":
                yield _histogram(metric, self._histograms[metric.name])
            else:
                kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
                family = kind(metric.name, metric.help, labels=metric.labels)
                for labels, value in samples[metric.name]:
                    family.add_metric(labels, value)
                yield family

    def _samples(self) -> Iterator[tuple[str, Samples]]:
        totals = self._counters.totals.copy()
        for metric, counter in _COUNTED.items():
            yield metric, _one(totals.of(counter))
        for metric, counter in _COUNTED_BY.items():
            yield metric, _labelled(totals.by_label(counter), _KNOWN.get(metric, ()))
        yield "ingest_events", iter(self._counters.events.items())
        found = {finding.name for finding in self._findings.current()}
        yield "ingest_finding", (((name,), float(name in found)) for name in NAMES)
        yield "ingest_feed_age_seconds", iter(self._feed.ages_by_kind(time.monotonic()).items())
        yield "ingest_part_up", (((part,), float(up)) for part, up in self._parts.items())
        yield "ingest_held_bytes", _one(self._lanes.held_bytes)
        yield "ingest_held_bytes_limit", _one(self._lanes.limits.total_bytes)
        ages = self._lanes.ages_s(time.time_ns())
        full = self._lanes.full if self._source.keeps else []
        yield "ingest_lane_full", (((str(lane.id),), float(lane.id in full)) for lane in self._lanes)
        yield "ingest_stream_unread", _one(self._source.unread)
        yield "ingest_lane_held_events", (((str(lane.id),), lane.held) for lane in self._lanes)
        yield "ingest_lane_oldest_seconds", (((str(lane),), age_s) for lane, age_s in ages.items())
        yield "ingest_oldest_event_seconds", _one(max(ages.values(), default=0.0))
        seen = self._probes.servers.seen
        for metric, ask in _SEEN.items():
            yield metric, _one(ask(seen) if seen else None)
        yield "ingest_queue_tasks", (((pool,), count) for pool, count in (seen.queues if seen else {}).items())
        paper = self._probes.paper.seen
        for metric, earned in _EARNED.items():
            yield metric, _by_strategy(paper.strategies if paper else (), earned)


def _one(value: float | None) -> Samples:
    if value is not None:
        yield (), float(value)


def _by_strategy(strategies: Iterable[StrategyFigures], ask: Callable[[StrategyFigures], float | None]) -> Samples:
    for each in strategies:
        if (value := ask(each)) is not None:
            yield (each.strategy,), value


def _labelled(counts: Mapping[str, int], known: tuple[str, ...]) -> Samples:
    for label in sorted({*counts, *known}):
        yield (label,), counts.get(label, 0)


def _histogram(metric: Metric, distribution: Distribution) -> HistogramMetricFamily:
    bounds = [*map(str, map(float, distribution.bounds)), "+Inf"]
    buckets = list(zip(bounds, map(float, accumulate(distribution.counts)), strict=True))
    family = HistogramMetricFamily(metric.name, metric.help)
    family.add_metric((), buckets, distribution.sum)
    return family
