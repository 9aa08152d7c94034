"""The targets, and what was measured of each."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from tests.bench import shards
from tests.bench.backtests import earlier, one_strategy
from tests.bench.results import USUAL_PER_S, BacktestRun, Latency, Memory, Point, Ratio, Report

#: At least so many times each contender's throughput.
RATIOS = {"bare_loop": 0.75, "celery": 25.0, "faststream": 3.0, "faststream_in_memory": 3.0}
#: At most so many times the bare loop's CPU an event: the price of order, of exactly once, and of scale.
OVERHEAD = 1.25
#: By events a second: p50 and p99 in ms, once it is warm.
LATENCY_MS = {100.0: (2.5, 5.0), USUAL_PER_S: (2.0, 7.0), 10_000.0: (10.0, 40.0)}
#: With two more workers than cores, p50 and p99 at most so many times those with one a core.
OVERSUBSCRIBED = 1.3
#: "No episode": p99 of every window at most so many times that of the window in the middle.
EPISODE = 3.0
#: CPU microseconds an event at 2,000 events/s.
SMALL_LOAD_US = 350.0
#: What is left of the throughput with 2 ms of delay each way to Redis.
DELAYED = 0.5
#: "Nothing lost", within what rounds differ by.
NOTHING_LOST = 0.97
#: Of the most that workers can gain.
NEAR_LINEAR = 0.8
#: "Off costs nothing, on at most so much": the engine's CPU with the paper account over that without it.
ACCOUNT = 1.15
#: "Off the hot path": ingest's CPU an event with the HTTP API over that without it.
API = 1.05
#: backtrader's CPU an event over that of our backtest, with the same strategy.
BACKTEST = 3.0
#: Our backtest's CPU an event over that of 27 November 2026's code: `--earlier` has to be a checkout of it.
EARLIER = 1.25
#: Ingest's CPU an event in a shard of four over that in the only one.
SHARD = 1.1
#: Of the events/s that are offered to a shard of a whole exchange: of four seconds, the last event may come 0.2 s later.
KEEPS_UP = 0.95
#: "Flat": the second half of the time adds at most this part.
FLAT = 0.02
_ROLES = ("ingest", "worker")


class Target(NamedTuple):
    """One line of the table."""

    what: str
    #: None: not measured this time.
    measured: float | None
    #: Which side of `target` is good.
    sign: Literal["at least", "at most"]
    target: float
    #: Of the measured, from the least to the most.
    spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is met; None when it was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.target if self.sign == "at least" else self.measured <= self.target


def of(report: Report) -> list[Target]:
    """Return every target."""
    return [
        *_ratios(report),
        _of_ratio("CPU of an event over bare_loop's", report.cpu_ratios.get("bare_loop"), OVERHEAD),
        *_scale(report.points),
        *_latency(report.latency),
        _of_ratio("p50 with two more workers than cores over one a core", report.oversubscribed, OVERSUBSCRIBED),
        _of_ratio("p99 with two more workers than cores over one a core", report.oversubscribed_p99, OVERSUBSCRIBED),
        *_delay(report.points),
        _cost("engine's CPU with the paper account over without", report.account, ACCOUNT),
        _cost("ingest's CPU an event with the HTTP API over without", report.api, API),
        _cost("ingest's CPU an event in a shard of four over the only one's", report.shard, SHARD),
        _exchange(report.points),
        _of_rounds("CPU of an event on backtrader over our backtest's", backtest_ratios(report.backtests), BACKTEST),
        _of_rounds("a backtest's CPU an event with earlier code over ours", backtest_ratios(report.earlier), EARLIER),
        _flat(report.memory),
    ]


def backtest_ratios(runs: Sequence[BacktestRun]) -> list[float]:
    """Return the other contender's CPU over ours, one for each round."""
    ours = {each.round: each.event_us for each in runs if each.contender in {one_strategy.OURS, earlier.OURS}}
    others = {each.round: each.event_us for each in runs if each.contender in {one_strategy.THEIRS, earlier.EARLIER}}
    return [theirs / ours[number] for number, theirs in others.items()]


def _ratios(report: Report) -> Iterator[Target]:
    for name, target in RATIOS.items():
        spread = report.spreads.get(name)
        yield Target(
            f"throughput over {name}",
            report.ratios.get(name),
            "at least",
            target,
            (spread.low, spread.high) if spread else None,
        )


def _of_ratio(what: str, ratio: Ratio | None, target: float) -> Target:
    if ratio is None:
        return Target(what, None, "at most", target)
    return Target(what, ratio.median, "at most", target, (ratio.low, ratio.high))


def _scale(points: Sequence[Point]) -> Iterator[Target]:
    busy, waiting = _by_value(points, "busy workers"), _by_value(points, "waiting workers")
    lost = [four.run.events_per_s / two.run.events_per_s for four, two in zip(busy[4], busy[2], strict=False)]
    yield _of_rounds("4 workers over 2, strategies ten times as costly", lost, NOTHING_LOST)
    fewest, most = (waiting[min(waiting)], waiting[max(waiting)]) if waiting else ([], [])
    gained = [
        many.run.events_per_s / few.run.events_per_s / (many.bound or many.value)
        for many, few in zip(most, fewest, strict=False)
    ]
    yield _of_rounds("gain by workers over the most possible, strategies that wait", gained, NEAR_LINEAR)


def _by_value(points: Sequence[Point], what: str) -> dict[float, list[Point]]:
    """Return what was measured at each value, round after round."""
    found: dict[float, list[Point]] = defaultdict(list)
    for point in points:
        if point.what == what:
            found[point.value].append(point)
    return found


def _of_rounds(what: str, ratios: Sequence[float], target: float) -> Target:
    """Return the median of ratios, each of two runs of a round."""
    if not ratios:
        return Target(what, None, "at least", target)
    spread = (min(ratios), max(ratios)) if len(ratios) > 1 else None
    return Target(what, median(ratios), "at least", target, spread)


def _latency(latencies: Sequence[Latency]) -> Iterator[Target]:
    found = {each.rate: each for each in latencies}
    for rate, (p50_ms, p99_ms) in LATENCY_MS.items():
        at = found.get(rate, Latency(rate, 0.0, None, None))
        yield _of_latency(f"p50 at {rate:,.0f} events/s, ms", at.p50_ms, at.p50_spread, p50_ms)
        yield _of_latency(f"p99 at {rate:,.0f} events/s, ms", at.p99_ms, at.p99_spread, p99_ms)
        worst = max(at.windows_p99_ms) / median(at.windows_p99_ms) if at.windows_p99_ms else None
        what = f"worst window's p99 over the median window's, at {rate:,.0f} events/s"
        yield Target(what, worst, "at most", EPISODE)
    usual = found.get(USUAL_PER_S)
    yield Target("CPU of an event at 2,000 events/s, us", usual.event_us if usual else None, "at most", SMALL_LOAD_US)


def _of_latency(what: str, measured: float | None, spread: Ratio | None, target: float) -> Target:
    return Target(what, measured, "at most", target, (spread.low, spread.high) if spread else None)


def _delay(points: Sequence[Point]) -> Iterator[Target]:
    speeds = [point.run.events_per_s for point in points if (point.what, point.contender) == ("delay ms", "pipeline")]
    left = [late / early for early, late in pairwise(speeds)]
    yield Target("throughput left with 2 ms each way to Redis", left[0] if left else None, "at least", DELAYED)


def _cost(what: str, ratios: Sequence[float], target: float) -> Target:
    spread = (min(ratios), max(ratios)) if ratios else None
    return Target(what, median(ratios) if ratios else None, "at most", target, spread)


def _exchange(points: Sequence[Point]) -> Target:
    each_per_s = shards.PER_S / shards.SHARDS
    parts = [point.run.events_per_s / each_per_s for point in points if point.what == shards.POINT]
    what = f"the slowest shard's part of its {each_per_s:,.0f} events/s of a whole exchange"
    return Target(what, min(parts) if parts else None, "at least", KEEPS_UP)


def _flat(memory: Memory | None) -> Target:
    grown = None
    if memory and len(memory.seconds) > 1:
        middle = len(memory.seconds) // 2
        ours = [mib for name, mib in memory.resident_mib.items() if name.startswith(_ROLES)]
        grown = max(mib[-1] / mib[middle] - 1 for mib in ours)
    return Target("memory of ingest and workers: growth in the second half", grown, "at most", FLAT)
