from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector as Collects

from ingest.lanes import Bounds, Lanes
from ingest.tally import Collector, Tally
from tasks.events import Position
from tasks.routing import LaneId, Pool, Router
from tests.unit.examples import trade

LANE = LaneId("trade", 0)


def test_what_is_counted_is_in_the_totals_for_ever_and_unwritten_until_it_is_taken():
    tally = Tally()
    tally.add("frames")
    tally.add("frames", 2)
    assert tally.take_unwritten() == {"frames": 3}
    tally.add("refused:not_json")
    assert tally.unwritten == {"refused:not_json": 1}
    assert tally.take_unwritten() == {"refused:not_json": 1}
    assert tally.take_unwritten() == {}
    assert tally.totals == {"frames": 3, "refused:not_json": 1}


def test_what_was_taken_does_not_change_any_more():
    tally = Tally()
    tally.add("frames")
    taken = tally.take_unwritten()
    tally.add("frames")
    assert taken == {"frames": 1}


def exposed(collector: Collects) -> dict[tuple[str, tuple[str, ...]], float]:
    """Give every sample as a scraper reads it, by name and label values."""
    registry = CollectorRegistry()
    registry.register(collector)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def lanes_with_one_event() -> Lanes:
    lanes = Lanes(Router((Pool("trade", ("trade",), partitions=1),)), Bounds(10**6, 10**6))
    lanes.begin("core-1.aa", {LANE: None}, 0.0)
    lanes.offer(trade(seq=lanes.next_seq()))
    return lanes


def test_before_anything_happened_every_plain_counter_is_there_as_zero():
    lanes = Lanes(Router(()), Bounds(1, 1))
    said = exposed(Collector(Tally(), lanes, {}))
    assert said["ingest_frames_total", ()] == said["ingest_signals_relayed_total", ()] == 0
    assert set(said.values()) == {0}


def test_a_labelled_counter_is_one_sample_for_each_label_and_colons_belong_to_the_label():
    tally = Tally()
    tally.add("skipped:kline", 2)
    tally.add("skipped:trade:INSURANCE_FUND")
    tally.add("dropped:overflow", 3)
    said = exposed(Collector(tally, lanes_with_one_event(), {}))
    assert said["ingest_frames_skipped_total", ("kline",)] == 2
    assert said["ingest_frames_skipped_total", ("trade:INSURANCE_FUND",)] == 1
    assert said["ingest_events_dropped_total", ("overflow",)] == 3


def test_the_gauges_show_what_is_held_and_what_is_up_at_the_moment_of_asking():
    lanes, parts = lanes_with_one_event(), {"nats": True, "redis": False}
    collector = Collector(Tally(), lanes, parts)
    said = exposed(collector)
    assert said["ingest_lane_held_events", ("trade-0",)] == 1
    assert said["ingest_held_bytes", ()] == lanes.held_bytes > 0
    assert (said["ingest_part_up", ("nats",)], said["ingest_part_up", ("redis",)]) == (1, 0)
    lanes[LANE].launch()
    lanes[LANE].sent(10.0)
    lanes.settle(LANE, Position("core-1.aa", 1), 10.25)
    parts["redis"] = True
    said = exposed(collector)
    assert (said["ingest_lane_held_events", ("trade-0",)], said["ingest_held_bytes", ()]) == (0, 0)
    assert said["ingest_lane_round_trip_seconds", ("trade-0",)] == 0.25
    assert said["ingest_part_up", ("redis",)] == 1
