"""Which configuration each event of a lane ran under, also where the run's beginning is missing."""

import msgspec
import pytest

from tasks.events import AnyEvent
from tasks.protocol.routing import Pool
from tasks.why.lane import StrategyLane
from tasks.why.timeline import Timeline, ran_under
from tests.support.events import TIME_MS, book, trade

LANE = StrategyLane.of(Pool("trade", ("trade",)), "spot", "BTCUSDT")


def line(id_: int, version: str, **other: str) -> bytes:
    about = {"pool": "trade", "venue": "spot", "symbol": "BTCUSDT", "kind": "trade"} | other
    return msgspec.json.encode({"config_version": version, "id": id_, "time_ms": TIME_MS + id_ * 1000} | about)


def at(id_: int) -> AnyEvent:
    return trade(id=id_, time_ms=TIME_MS + id_ * 1000)


def versions(timeline: Timeline, *ids: int) -> list[str | None]:
    return [timeline.version(at(id_)) for id_ in ids]


def test_without_an_audit_every_event_has_the_one_configuration():
    assert versions(Timeline("file", LANE), 1, 2) == ["file", "file"]


def test_a_configuration_begins_with_the_event_that_the_audit_names():
    timeline = Timeline("other", LANE, [line(1, "c1"), line(3, "c2")])
    assert versions(timeline, 1, 2, 3, 4) == ["c1", "c1", "c2", "c2"]
    assert timeline.missing == []


def test_events_from_before_the_run_were_not_in_it():
    timeline = Timeline("other", LANE, [line(3, "c1")])
    assert versions(timeline, 1, 2, 3, 4) == [None, None, "c1", "c1"]
    assert timeline.missing == []


def test_states_that_were_seeded_have_events_from_before_the_run():
    timeline = Timeline("other", LANE, [line(3, "c1")], seeded="c0")
    assert versions(timeline, 1, 2, 3, 4) == ["c0", "c0", "c1", "c1"]


def test_a_source_that_begins_in_mid_run_is_told():
    timeline = Timeline("other", LANE, [line(1, "c1"), line(3, "c2"), line(9, "c3")])
    assert versions(timeline, 5, 9) == ["c2", "c3"]
    [missing] = timeline.missing
    assert missing.startswith("the run began with spot BTCUSDT trade 1 of 2024-08-09 00:00:01, the source with 5 of")


def test_an_event_that_is_missing_does_not_hold_back_its_configuration():
    timeline = Timeline("other", LANE, [line(1, "c1"), line(3, "c2")])
    assert versions(timeline, 1, 2, 4) == ["c1", "c1", "c2"]


@pytest.mark.parametrize("other", [{"pool": "p"}, {"venue": "usdm"}, {"symbol": "ETHUSDT"}, {"kind": "depth"}])
def test_lines_of_other_records_are_passed_over(other):
    assert versions(Timeline("otherwise", LANE, [line(1, "c1", **other)]), 1) == ["otherwise"]


def test_an_audit_line_that_is_none_is_passed_over():
    assert versions(Timeline("otherwise", LANE, [b"{}", line(1, "c1")]), 1) == ["c1"]


def test_every_version_that_the_audit_names_is_told_once():
    assert ran_under([line(1, "c1"), b"{}", line(2, "c2", pool="p"), line(3, "c1")]) == {"c1", "c2"}


def test_each_record_of_a_pool_keyed_by_all_has_its_own_turns():
    lane = StrategyLane.of(Pool("basket", ("trade", "depth"), "all"), "spot", "BTCUSDT")
    lines = [line(1, "c1", pool="basket"), line(1, "c2", pool="basket", symbol="ETHUSDT", kind="depth")]
    timeline = Timeline("otherwise", lane, lines)
    assert timeline.version(at(1)) == "c1"
    assert timeline.version(book(symbol="ETHUSDT", id=1, time_ms=TIME_MS + 1000)) == "c2"
