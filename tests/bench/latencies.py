"""The latency of the pipeline at several rates: in its first seconds, and once it is warm."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from tasks.telemetry import latency
from tests.bench import pipelines, runs, systems
from tests.bench.loads import Loads
from tests.bench.mix import Mix
from tests.bench.noise import Say, most, undisturbed
from tests.bench.pipelines import Setup
from tests.bench.results import USUAL_PER_S, Latency, LatencyReport, Ratio
from tests.bench.systems import Pipeline

#: Two windows one after the other whose medians differ by less are alike.
ALIKE = 0.25
#: A worker for each core, and two more.
_WORKERS = os.cpu_count() or 1
_OVERSUBSCRIBED = _WORKERS + 2


class LatencyPlan(NamedTuple):
    """What to measure."""

    #: Events a second.
    rates: Sequence[float]
    rounds: int
    #: How long it is measured at each rate, and how long a window is.
    seconds: float
    window_s: float
    #: How long it is measured from the start on; 0: not at all.
    start_s: float = 0.0
    #: Events at full speed after a start of which nothing is measured: states grow with the events that they have seen.
    warm_up: int = 0
    #: How many windows it may take until two are alike.
    most_windows: int = 6
    #: Whether it is also measured with more workers than cores.
    oversubscribed: bool = True


def measure(plan: LatencyPlan, mix: Mix, say: Say) -> LatencyReport:
    """Start a pipeline in each round, and feed it at each rate in turn. Raises LocalStackError."""
    starts: list[Latency] = []
    warm: dict[float, list[Latency]] = {rate: [] for rate in plan.rates}
    oversubscribed: list[Latency] = []
    for _ in range(plan.rounds):
        with pipelines.running(Setup(mix, _WORKERS), 0 if plan.start_s else plan.warm_up) as (pipeline, loads):
            if plan.start_s:
                starts.append(at(USUAL_PER_S, plan.start_s, plan.window_s, pipeline, loads))
                say(f"from the start, {starts[-1]}")
            for rate in plan.rates:
                warm[rate].append(_warm(rate, plan, pipeline, loads, say))
        if plan.oversubscribed:
            with pipelines.running(Setup(mix, _OVERSUBSCRIBED), plan.warm_up) as (pipeline, loads):
                oversubscribed.append(_warm(USUAL_PER_S, plan, pipeline, loads, say))
    return LatencyReport(
        [medians(each) for each in warm.values()],
        medians(starts) if starts else None,
        _oversubscribed(warm, oversubscribed, lambda each: each.p50_ms),
        _oversubscribed(warm, oversubscribed, lambda each: each.p99_ms),
    )


def _oversubscribed(
    warm: Mapping[float, Sequence[Latency]], oversubscribed: Sequence[Latency], of: Callable[[Latency], float | None]
) -> Ratio | None:
    """Return what is `of` a latency with more workers than cores, over that with one a core, of each round."""
    pairs = [(of(many), of(few)) for many, few in zip(oversubscribed, warm.get(USUAL_PER_S, ()), strict=False)]
    ratios = [many_ms / few_ms for many_ms, few_ms in pairs if many_ms and few_ms]
    return Ratio.of(ratios) if ratios else None


def _warm(rate: float, plan: LatencyPlan, pipeline: Pipeline, loads: Loads, say: Say) -> Latency:
    """Feed at a rate until two windows are alike, then measure."""
    last, is_settled = None, False
    for _ in range(plan.most_windows):
        p50_ms = at(rate, plan.window_s, plan.window_s, pipeline, loads).p50_ms
        is_settled = bool(last and p50_ms and abs(p50_ms - last) <= ALIKE * last)
        if is_settled:
            break
        last = p50_ms
    if not is_settled:
        say(f"at {rate:g} events/s no two of {plan.most_windows} windows were alike")
    found = undisturbed(lambda: at(rate, plan.seconds, plan.window_s, pipeline, loads), lambda each: each.noise, say)
    say(str(found))
    return msgspec.structs.replace(found, is_settled=is_settled)


def at(rate: float, seconds: float, window_s: float, pipeline: Pipeline, loads: Loads) -> Latency:
    """Feed at a rate; return the latency of what was fed, and of each window of it."""
    before = _settled(pipeline)
    windows = Windows(pipeline, before, window_s)
    run = runs.run(pipeline, loads.next(max(round(rate * seconds), 50), rate), windows.sample)
    counts = _settled(pipeline) - before
    return Latency(
        rate,
        round(run.events_per_s, 1),
        latency.quantile_ms(counts, 0.5),
        latency.quantile_ms(counts, 0.99),
        windows.p99_ms,
        run.cpu_us,
        run.noise,
    )


class Windows:
    """The latency of each window of a run, by what ingest has counted when it ends."""

    def __init__(self, pipeline: Pipeline, before: Counter[int], window_s: float) -> None:
        self._pipeline, self._last, self._window_s = pipeline, before, window_s
        self._next_s = time.monotonic() + window_s
        #: Of each window that was full.
        self.p99_ms: list[float] = []

    def sample(self) -> None:
        """Take the latencies of a window that has ended."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + self._window_s
        now = latency.by_bucket(self._pipeline.reader.counters())
        found = latency.quantile_ms(now - self._last, 0.99)
        self._last = now
        if found is not None:
            self.p99_ms.append(found)


def _settled(pipeline: Pipeline) -> Counter[int]:
    """Wait until ingest has written the latency of all that is done; return how many there are, by bucket."""
    counts = Counter[int]()

    def told() -> bool:
        nonlocal counts
        counts = latency.by_bucket(pipeline.reader.counters())
        return counts.total() >= pipeline.done()

    systems.follow(pipeline, told, 30, "the latencies")
    return counts


def medians(rounds: Sequence[Latency]) -> Latency:
    """Return the medians of several rounds with their spread; of the windows, those of all."""
    first = rounds[0]
    p50, p99 = _spread(each.p50_ms for each in rounds), _spread(each.p99_ms for each in rounds)
    return Latency(
        first.rate,
        round(median(each.events_per_s for each in rounds), 1),
        p50.median if p50 else None,
        p99.median if p99 else None,
        [p99_ms for each in rounds for p99_ms in each.windows_p99_ms],
        {role: round(median(each.cpu_us.get(role, 0.0) for each in rounds), 2) for role in first.cpu_us},
        most(each.noise for each in rounds),
        p50,
        p99,
        all(each.is_settled for each in rounds),
    )


def _spread(values: Iterator[float | None]) -> Ratio | None:
    known = [value for value in values if value is not None]
    return Ratio.of(known) if known else None
