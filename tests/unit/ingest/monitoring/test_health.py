import time
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.connectivity import Connectivity
from ingest.lanes import LaneLimits, Lanes
from ingest.monitoring.error_counts import ErrorCounts
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.findings import Findings
from ingest.monitoring.health import HEARTBEAT_S, SLOW_S, STUCK_S, Health, _late, late_lanes
from ingest.monitoring.lifecycle import Lifecycle
from ingest.monitoring.memory_guard import MemoryGuard
from tasks.events import Position
from tasks.protocol.counters import CounterKey, Counts
from tasks.protocol.routing import LaneId, Pool, Router
from tests.support.events import trade

LANE = LaneId("trade", 0)


class WatchedIngest:
    """An ingest that has started, with both parts there, and a clock to turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(time, "time_ns", lambda: int(self.now_s * 1e9))
        self.parts = Connectivity({"nats": "nats://a", "redis": "redis://b"})
        self.parts.back("nats")
        self.parts.back("redis")
        self.lanes = Lanes(Router((Pool("trade", ("trade",), partitions=1),)), LaneLimits(10**6, 10**6))
        self.lanes.begin("core-1.aa", {LANE: None}, 0.0)
        self.errors, self.lifecycle = ErrorCounts(), Lifecycle()
        probe: Any = SimpleNamespace(seen=None, errors=self.errors)
        self.memory_guard = MemoryGuard(0.9)
        checks = (
            self.lifecycle.findings,
            self.parts.findings,
            self.memory_guard.findings,
            lambda: late_lanes(self.lanes),
        )
        findings = Findings(*checks, now=time.monotonic)
        self.health = Health(self.lifecycle, self.parts, self.lanes, probe, FeedWatch(), findings)
        self.lifecycle.start()

    def take(self) -> None:
        event = trade(seq=self.lanes.next_seq(), ingested_at_ns=time.time_ns())
        self.lanes.offer(event)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> WatchedIngest:
    return WatchedIngest(monkeypatch)


async def test_it_is_alive_while_the_loop_comes_round_and_not_after_a_long_stall(watched: WatchedIngest):
    assert watched.health.healthz() == (True, {"heartbeat_age_s": 0.0})
    watched.now_s += HEARTBEAT_S
    assert watched.health.healthz() == (False, {"heartbeat_age_s": HEARTBEAT_S})
    await watched.health.beat()
    assert watched.health.healthz()[0]


def test_waiting_for_servers_at_the_start_is_no_lack_of_life(watched: WatchedIngest):
    watched.lifecycle.started = False
    watched.now_s += 10 * HEARTBEAT_S
    assert watched.health.healthz()[0]
    assert not watched.health.ready()[0]


@pytest.mark.parametrize("part", ["nats", "redis"])
def test_an_unavailable_part_makes_it_unready_but_not_dead(watched: WatchedIngest, part: str):
    watched.parts.lost(part, "refused")
    well, said = watched.health.ready()
    assert (well, said[part]) == (False, False)
    assert watched.health.healthz()[0]
    watched.parts.back(part)
    assert watched.health.ready()[0]


def test_an_event_that_waits_too_long_makes_it_unready_and_names_its_lane(watched: WatchedIngest):
    """It is ready again once the event is committed."""
    watched.take()
    watched.now_s += STUCK_S
    assert watched.health.ready()[0]
    watched.now_s += 1
    well, said = watched.health.ready()
    assert (well, said["lanes"], said["stuck"]) == (False, False, {"trade-0": STUCK_S + 1})
    watched.lanes[LANE].launch()
    watched.lanes[LANE].sent(watched.now_s)
    watched.lanes.settle(LANE, Position("core-1.aa", 1), watched.now_s)
    assert watched.health.ready()[0]


def test_a_full_redis_makes_it_unready_but_not_dead_until_there_is_room(watched: WatchedIngest):
    watched.memory_guard.poll("redis://b", 950, 1_000)
    well, said = watched.health.ready()
    assert (well, said["redis_full"], said["redis"]) == (False, True, True)
    assert watched.health.healthz()[0]
    watched.memory_guard.poll("redis://b", 100, 1_000)
    assert watched.health.ready()[0]


def test_a_full_ledger_of_another_shard_leaves_it_ready(watched: WatchedIngest):
    watched.memory_guard.poll("redis://first", 950, 1_000, is_written=False)
    well, said = watched.health.ready()
    assert (well, said["redis_full"], len(said["findings"])) == (True, False, 1)


def test_a_lane_that_holds_a_stream_up_is_named(watched: WatchedIngest):
    watched.lanes.limits = LaneLimits(1, 1)
    assert watched.health.ready()[1]["held_up_by"] == []
    watched.take()
    assert watched.health.ready()[1]["held_up_by"] == ["trade-0"]


@pytest.mark.parametrize(("role", "well"), [("standing_by", True), ("started", True), ("neither", False)])
def test_one_that_leads_and_one_that_stands_by_are_ready(watched: WatchedIngest, role: str, well: bool):  # noqa: FBT001 a case
    watched.lifecycle.started, watched.lifecycle.standing_by = role == "started", role == "standing_by"
    assert watched.health.ready()[0] is well


def test_one_that_stops_takes_no_more(watched: WatchedIngest):
    watched.lifecycle.stop()
    well, said = watched.health.ready()
    assert (well, said["stopping"]) == (False, True)


def names(watched: WatchedIngest) -> list[tuple[str, str]]:
    """Return sign and name of what /ready finds."""
    return [(each["sign"], each["name"]) for each in watched.health.ready()[1]["findings"]]


def test_it_is_ready_unless_something_found_is_a_fault(watched: WatchedIngest):
    assert (watched.health.ready()[0], names(watched)) == (True, [])
    watched.take()
    watched.now_s += SLOW_S + 1
    assert (watched.health.ready()[0], names(watched)) == (True, [("warning", "lanes_slow")])
    watched.now_s += STUCK_S
    assert (watched.health.ready()[0], names(watched)) == (False, [("fault", "lanes_stuck")])


@pytest.mark.parametrize(
    ("phase", "found"),
    [
        ({}, []),
        ({"started": False}, [("fault", "starting")]),
        ({"started": False, "standing_by": True}, [("ok", "standing_by")]),
        ({"stopping": True}, [("fault", "stopping")]),
    ],
)
def test_each_phase_is_named(watched: WatchedIngest, phase: dict[str, bool], found: list[tuple[str, str]]):
    for name, value in phase.items():
        setattr(watched.lifecycle, name, value)
    assert names(watched) == found


def test_both_unavailable_parts_are_named_with_what_to_do(watched: WatchedIngest):
    watched.parts.lost("nats", "refused")
    watched.parts.lost("redis", "refused")
    assert names(watched) == [("fault", "nats_away"), ("fault", "redis_away")]
    assert all(each["do"] for each in watched.health.ready()[1]["findings"])


def test_many_late_lanes_are_counted_and_few_are_named():
    assert _late([LANE], 5.0).startswith("trade-0: ")
    assert _late([LANE] * 5, 5.0).startswith("trade-0, trade-0, trade-0 and 2 more: ")


def test_ready_gives_the_newest_events_age_and_each_strategys_errors(watched: WatchedIngest):
    assert watched.health.ready()[1]["feed"] == {"age_s": None, "streams": 0, "oldest": {}}
    watched.errors.take(Counts(), watched.now_s - 3)
    watched.errors.take(Counts({CounterKey("errors", "boom"): 7}), watched.now_s)
    assert watched.health.ready()[1]["strategy_errors"] == {"boom": 7}
