"""Ten times more than the workers carry, and a Redis that something else fills up: bounded, counted, over by itself.

OVERLOAD_S says for how many seconds too much comes in (60).
"""

import json
import os
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from compose.local.stack import Plan, Stack
from tasks.ledger.reader import LedgerReader
from tests.support.service import get
from tests.support.stacks.pipeline import backtested, deadletters, digests, finish, lasting, running
from tests.support.waiting import wait_for

FILE = """
[pools.depth]
kinds = ["depth", "trade"]
[pools.depth.strategies."tests.support.stacks.strategies:Slow"]
"""
OVERLOAD_S = int(os.environ.get("OVERLOAD_S", "60"))
#: The one worker carries about 400 events a second.
RATE = "4000"
CALM_RATE = "40"
WINDOW_S = 3.0
FILLER = "somebody else's"


class Bound(NamedTuple):
    """What holds ingest back."""

    environment: dict[str, str]
    held_bytes: int
    #: What of these events, of batches in flight and of the client's buffers may come on top of an idle ingest.
    flat_bytes: int
    #: Within this time after the overload the latency has to be normal again.
    recovered_s: float
    #: Why events are dropped.
    reasons: set[str]


MIB = 2**20
#: Small, because the worker has to work off what waits before the latency is normal again.
OF_BYTES = Bound(
    {"INGEST_LANE_BYTES": str(MIB), "INGEST_TOTAL_BYTES": str(MIB)}, MIB, 48 * MIB, 90, {"conflated", "overflow"}
)
#: An event waits for five seconds and until its lane is free: eight lanes of 500 events each take the worker ten.
OF_TIME = Bound({"INGEST_MAX_WAIT_S": "5"}, 16 * MIB, 96 * MIB, 30, {"expired"})


def samples(stack: Stack) -> dict[str, float]:
    """Return the samples of ingest: those with a label under `name label`."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(get(stack.http_port, "/metrics")[1])
        for sample in family.samples
    }


def p99_s(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the upper bound of the bucket in which the 99th percentile of the latencies between two scrapes lies."""
    name = "pipeline_latency_seconds_bucket "
    counts = {float(each.removeprefix(name)): after[each] - before[each] for each in after if each.startswith(name)}
    wanted = 0.99 * counts[float("inf")]
    return min(bound for bound, count in counts.items() if count >= wanted)


def overload(stack: Stack, held_bytes: int) -> Counter[str]:
    """Feed ten times too much; return the resident bytes of ingest meanwhile."""
    ingest, sizes = psutil.Process(stack.ingest.pid), Counter[str]()
    sizes["before"] = ingest.memory_info().rss
    feed = stack.start_feed(["simulate", "--symbols", "6", "--rate", RATE, "--seconds", str(OVERLOAD_S)])
    half_s = time.monotonic() + OVERLOAD_S / 2
    while feed.returncode is None:
        now = samples(stack)
        assert now["ingest_held_bytes"] <= held_bytes
        sizes["highest"] = max(sizes["highest"], ingest.memory_info().rss)
        if time.monotonic() > half_s and not sizes["half-way"]:
            sizes["half-way"] = ingest.memory_info().rss
        time.sleep(0.5)
    sizes["at the end"] = ingest.memory_info().rss
    return sizes


def watched(stack: Stack, limit_s: float) -> Generator[float, None, None]:
    """Feed what the worker can carry; yield the 99th percentile of the latency in one window after another."""
    feed = stack.start_feed(["simulate", "--symbols", "6", "--rate", CALM_RATE])
    count, before = "pipeline_latency_seconds_count", samples(stack)
    deadline_s = time.monotonic() + limit_s
    try:
        while time.monotonic() < deadline_s:
            time.sleep(WINDOW_S)
            now = samples(stack)
            if now[count] > before[count]:
                yield p99_s(before, now)
            before = now
    finally:
        stack.instance.stop(feed)


def calm(stack: Stack) -> float:
    """Return the middle one of three windows in quiet times: the latency of this machine, at this hour."""
    with closing(watched(stack, 60)) as windows:
        next(windows)  # the feed is starting
        return sorted(islice(windows, 3))[1]


def recover(stack: Stack, normal_s: float, limit_s: float) -> float:
    """Return the seconds until a window is as quick as in quiet times."""
    started_s = time.monotonic()
    with closing(watched(stack, limit_s)) as windows:
        for quantile_s in windows:
            if quantile_s <= normal_s:
                return time.monotonic() - started_s
    pytest.fail(f"the latency is not {normal_s} s again after {limit_s} s")


@pytest.mark.slow
@pytest.mark.timeout(OVERLOAD_S + 300)
@pytest.mark.parametrize("bound", [pytest.param(OF_BYTES, id="bytes"), pytest.param(OF_TIME, id="time")])
def test_under_tenfold_overload_ingest_stays_small_and_counts_every_drop(tmp_path: Path, bound: Bound):
    """It recovers by itself once the overload has ended."""
    file = tmp_path / "strategies.toml"
    file.write_text(FILE)
    with running(Plan(1, "solo", environment={"STRATEGIES_FILE": str(file), **bound.environment})) as stack:
        normal_s = calm(stack)
        sizes = overload(stack, bound.held_bytes)
        recovery_s = recover(stack, normal_s, bound.recovered_s)
        sizes["after"] = psutil.Process(stack.ingest.pid).memory_info().rss
        live = finish(stack)
        applied = sum(record.count for _, _, record in LedgerReader(stack.settings).records())
        letters = deadletters(stack)
    mib = {name: f"{size / MIB:.1f} MiB" for name, size in sizes.items()}
    print(f"\ningest {mib}; {live.events} events, {applied} applied, dropped {live.dropped}")
    print(f"99 % within {normal_s} s before, and again {recovery_s:.1f} s after the overload")
    assert sizes["highest"] < sizes["before"] + bound.flat_bytes
    assert sizes["at the end"] < sizes["half-way"] * 1.05
    assert live.dropped.keys() == bound.reasons
    assert live.events == applied + sum(live.dropped.values())
    assert (live.frames, live.repeats, letters) == (live.events, 0, [])


@pytest.mark.slow
def test_a_redis_filled_by_others_stops_work_before_writes_fail(recording: Path):
    """Nothing is lost: once there is room again, the digest becomes that of the backtest."""
    with running(Plan(1, "solo")) as stack:
        client: Any = redis.Redis.from_url(stack.redis_url)
        reader = LedgerReader(stack.settings)
        client.config_set("maxmemory", "64mb")
        feed = stack.start_feed(["replay", str(recording), "--speed", lasting([recording], 20)])
        wait_for(lambda: reader.counters().of("batches") > 100, "work")
        while (about := client.info("memory"))["used_memory"] < 0.93 * about["maxmemory"]:
            client.rpush(FILLER, b"x" * 50_000)
        wait_for(lambda: get(stack.http_port, "/ready")[0] == 503, "the stop")
        assert json.loads(get(stack.http_port, "/ready")[1])["redis_full"]
        assert samples(stack)["ingest_redis_full"] == 1
        wait_for(lambda: client.llen("local:celery:depth") == client.llen("local:celery:trade") == 0, "the queues")
        wait_for(lambda: samples(stack)["ingest_oldest_event_seconds"] > 3, "events to wait")
        batches = reader.counters().of("batches")
        wait_for(lambda: samples(stack)["ingest_oldest_event_seconds"] > 6, "events to wait")
        assert reader.counters().of("batches") == batches, "workers idle"
        client.delete(FILLER)
        wait_for(lambda: get(stack.http_port, "/ready")[0] == 200, "the end of the stop")
        wait_for(lambda: feed.returncode is not None, "the feed")
        live = finish(stack)
        assert "errorstat_OOM" not in client.info("errorstats"), "no write was refused"
        client.close()
    expected = backtested([recording])
    assert (live.dropped, live.repeats, live.events) == ({}, 0, expected.frames)
    assert digests(live) == digests(expected)
