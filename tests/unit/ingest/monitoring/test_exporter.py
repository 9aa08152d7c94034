from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ingest.counters import Counters
from ingest.lanes import LaneLimits, Lanes
from ingest.lanes.task_packing import Workforce
from ingest.monitoring.exporter import Exporter, Probes
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.findings import Findings
from ingest.monitoring.paper_figures import PaperFigures, StrategyFigures
from ingest.monitoring.server_stats import ServerStats
from tasks.events import Position
from tasks.protocol.findings import NAMES, Finding
from tasks.protocol.routing import LaneId, Pool, Router
from tasks.telemetry import metrics
from tests.support.events import trade

LANE = LaneId("trade", 0)
SEEN = ServerStats(
    queues={"trade": 4},
    workers=2,
    workforce=Workforce([({"trade"}, 4)]),
    deadletters=3,
    deadletters_written=9,
    deadletter_age_s=2.5,
    signals_waiting=7,
    redis_used_bytes=1_000,
    redis_limit_bytes=2_000,
    redis_save_failing=False,
)


class Scraped:
    """An ingest of one lane, as a scraper sees it."""

    def __init__(self, seen: ServerStats | None = None, paper: PaperFigures | None = None) -> None:
        self.counters, self.parts = Counters(), {"nats": True, "redis": False}
        self.lanes = Lanes(Router((Pool("trade", ("trade",), partitions=1),)), LaneLimits(10**6, 10**6))
        self.lanes.begin("core-1.aa", {LANE: None}, 0.0)
        servers: Any = SimpleNamespace(seen=seen)
        accounts: Any = SimpleNamespace(seen=paper)
        self.registry = CollectorRegistry()
        self.source: Any = SimpleNamespace(keeps=False, unread=0)
        self.found: list[Finding] = []
        findings = Findings(lambda: self.found)
        self.feed = FeedWatch()
        self.registry.register(
            Exporter(self.counters, self.lanes, self.parts, Probes(servers, accounts), self.source, self.feed, findings)
        )

    def __getitem__(self, wanted: str) -> dict[tuple[str, ...], float]:
        """Return the samples of one name by their labels' values, in the order of the labels' names."""
        return {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(generate_latest(self.registry).decode())
            for sample in family.samples
            if sample.name == wanted
        }

    def names(self) -> dict[str, str]:
        families = text_string_to_metric_families(generate_latest(self.registry).decode())
        return {family.name: family.type for family in families}


def test_exactly_the_metrics_of_the_table_are_exported_with_their_type():
    """They are exported before anything has happened."""
    assert Scraped().names() == {metric.name: metric.type for metric in metrics.INGEST.values()}


def test_a_counter_without_labels_is_zero_before_anything_happened():
    scraped = Scraped()
    plain = [each for each in metrics.INGEST.values() if each.type == "counter" and not each.labels]
    assert len(plain) > 5
    assert {name: scraped[name] for each in plain for name in each.samples} == {
        name: {(): 0} for each in plain for name in each.samples
    }


def test_a_labelled_counter_has_a_sample_per_label_and_labels_keep_colons():
    scraped = Scraped()
    scraped.counters.add("skipped", "kline", by=2)
    scraped.counters.add("skipped", "trade:INSURANCE_FUND")
    scraped.counters.add("dropped", "overflow", by=3)
    scraped.counters.events["spot", "trade"] += 5
    assert scraped["ingest_frames_skipped_total"] == {("kline",): 2, ("trade:INSURANCE_FUND",): 1}
    assert scraped["ingest_events_dropped_total"] == {
        ("conflated",): 0,
        ("expired",): 0,
        ("overflow",): 3,
        ("stop",): 0,
    }
    assert scraped["ingest_events_total"] == {("trade", "spot"): 5}


def test_the_gauges_show_what_is_held_and_what_is_up_when_asked():
    scraped = Scraped()
    scraped.lanes.offer(trade(seq=scraped.lanes.next_seq()))
    assert scraped["ingest_lane_held_events"] == {("trade-0",): 1}
    assert scraped["ingest_held_bytes"][()] == scraped.lanes.held_bytes > 0
    assert scraped["ingest_held_bytes_limit"] == {(): 10**6}
    assert scraped["ingest_part_up"] == {("nats",): 1, ("redis",): 0}
    age_s = scraped["ingest_lane_oldest_seconds"]["trade-0",]
    assert scraped["ingest_oldest_event_seconds"][()] >= age_s > 0
    scraped.lanes[LANE].launch()
    scraped.lanes[LANE].sent(10.0)
    scraped.lanes.settle(LANE, Position("core-1.aa", 1), 10.25)
    scraped.parts["redis"] = True
    assert (scraped["ingest_lane_held_events"], scraped["ingest_held_bytes"]) == ({("trade-0",): 0}, {(): 0})
    assert (scraped["ingest_lane_oldest_seconds"], scraped["ingest_oldest_event_seconds"]) == (
        {("trade-0",): 0},
        {(): 0},
    )
    assert scraped["ingest_part_up"]["redis",] == 1


def test_each_strategy_with_an_account_has_its_profit_drawdown_and_hits():
    earned = StrategyFigures("skew", 4, 1, realised=10.0, unrealised=-12.5, drawdown=15.0, hit_rate=0.75)
    fresh = StrategyFigures("new", 0, 0, realised=0.0, unrealised=0.0, drawdown=0.0, hit_rate=None)
    scraped = Scraped(paper=PaperFigures([earned, fresh], [], 1))
    assert scraped["strategy_pnl"] == {("skew",): -2.5, ("new",): 0}
    assert scraped["strategy_drawdown"] == {("skew",): 15, ("new",): 0}
    assert scraped["strategy_hit_rate"] == {("skew",): 0.75}


def test_who_does_not_lead_tells_nothing_of_paper_accounts():
    scraped = Scraped()
    assert [scraped[name] for name in ("strategy_pnl", "strategy_drawdown", "strategy_hit_rate")] == [{}] * 3


def test_a_histogram_adds_up_from_bucket_to_bucket():
    scraped = Scraped()
    for seconds in (0.0005, 0.004, 0.004, 99.0):
        scraped.counters.latency_s.add(seconds)
    buckets = {float(bound): count for (bound,), count in scraped["pipeline_latency_seconds_bucket"].items()}
    assert list(buckets) == [*metrics.LATENCY_BUCKETS_S, float("inf")]
    assert (buckets[0.001], buckets[0.005], buckets[10.0], buckets[float("inf")]) == (1, 3, 3, 4)
    assert scraped["pipeline_latency_seconds_count"] == {(): 4}
    assert scraped["pipeline_latency_seconds_sum"][()] == pytest.approx(99.0085)


def test_a_lane_that_holds_up_a_stream_is_named():
    """A subscription is never held up."""
    scraped = Scraped()
    scraped.lanes.limits = LaneLimits(1, 1)
    scraped.lanes.offer(trade(seq=scraped.lanes.next_seq()))
    assert scraped["ingest_lane_full"] == {("trade-0",): 0}
    scraped.source.keeps, scraped.source.unread = True, 12
    assert scraped["ingest_lane_full"] == {("trade-0",): 1}
    assert scraped["ingest_stream_unread"] == {(): 12}


def test_what_the_servers_said_is_shown_and_missing_while_they_say_nothing():
    said, silent = Scraped(SEEN), Scraped()
    assert said["ingest_workers"] == {(): 2}
    assert said["ingest_queue_tasks"] == {("trade",): 4}
    assert (said["ingest_deadletters"], said["ingest_deadletters_written"]) == ({(): 3}, {(): 9})
    assert said["ingest_deadletter_age_seconds"] == {(): 2.5}
    assert (said["ingest_redis_used_bytes"], said["ingest_redis_limit_bytes"]) == ({(): 1_000}, {(): 2_000})
    assert (said["ingest_signals_waiting"], said["ingest_redis_save_failing"]) == ({(): 7}, {(): 0})
    assert said["ingest_redis_full"] == {(): 0}
    for name in ("ingest_workers", "ingest_queue_tasks", "ingest_deadletters", "ingest_redis_used_bytes"):
        assert silent[name] == {}


def test_every_finding_that_there_may_be_is_zero_or_one():
    scraped = Scraped()
    assert scraped["ingest_finding"] == {(name,): 0 for name in NAMES}
    scraped.found = [Finding("warning", "queue a", "x", "y", "queue_unserved")] * 2
    assert scraped["ingest_finding"] == {(name,): float(name == "queue_unserved") for name in NAMES}
