"""What the benchmark found out, as it is written to a file and read again."""

import os
import platform
import statistics
import sysconfig
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.bench.noise import Noise
from tests.bench.runs import RunUsage

#: Events a second at which also the start is measured, and what more workers than cores cost.
USUAL_PER_S = 2_000.0


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    cpus: int
    model: str
    python: str
    #: Before it began: what others did at the same time.
    load_average: float
    #: Whether this Python was built with the compiler's optimisations by profile, which makes it a tenth quicker.
    is_optimised: bool | None = None
    #: The day, as in 2026-11-29.
    date: str = ""


class ContenderRun(msgspec.Struct, frozen=True):
    """One contender in one round."""

    contender: str
    round: int
    run: RunUsage
    #: Part of the events that the strategies got, exactly once and in order.
    applied: float
    #: Whether signals and records are those of the backtest.
    same_digest: bool

    def __str__(self) -> str:
        return f"round {self.round}: {self.contender} {self.run.events_per_s:,.0f} events/s, {self.run.event_us:.1f} us"


class Ratio(msgspec.Struct, frozen=True):
    """The median of what several rounds gave, with the least and the most."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Ratio":
        """Sum up."""
        return cls(*(round(value, 4) for value in (statistics.median(values), min(values), max(values))))


class Latency(msgspec.Struct, frozen=True):
    """From receiving an event to knowing its commit."""

    #: Events a second that were offered, and that came through.
    rate: float
    events_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    #: Of each window of a few seconds, one after the other.
    windows_p99_ms: list[float] = []
    #: CPU microseconds an event, by role of process; the feed is one.
    cpu_us: dict[str, float] = {}
    #: What others took of the machine meanwhile; None: not measured.
    noise: Noise | None = None
    #: Of the rounds.
    p50_spread: Ratio | None = None
    p99_spread: Ratio | None = None
    #: Whether two windows one after the other were alike before it was measured.
    is_settled: bool = True

    @property
    def event_us(self) -> float | None:
        """CPU microseconds an event of all processes; None where that was not measured."""
        return sum(self.cpu_us.values()) or None

    def __str__(self) -> str:
        return f"latency at {self.rate:g} events/s: p50 {self.p50_ms} ms, p99 {self.p99_ms} ms"


class LatencyReport(msgspec.Struct, frozen=True):
    """All latencies, medians of the rounds."""

    #: At each rate, once it is warm.
    warm: list[Latency]
    #: From the start of the processes on.
    start: Latency | None
    #: With two more workers than cores over one a core, at 2,000 events/s: p50, and p99.
    oversubscribed: Ratio | None
    oversubscribed_p99: Ratio | None


class Cost(msgspec.Struct, frozen=True):
    """Of one event, while as many come as go through."""

    #: CPU microseconds by stage; `feed`, `nats` and `redis` are those processes.
    stages_us: dict[str, float]
    redis_commands: float
    redis_bytes_in: float
    redis_bytes_out: float
    #: Mean over (venue, symbol) of names and values of states and records.
    state_bytes_a_symbol: float
    #: What others took of the machine meanwhile; None: not measured.
    noise: Noise | None = None


class Point(msgspec.Struct, frozen=True):
    """The pipeline, where one thing was varied."""

    #: symbols, strategies, workers, busy workers, waiting workers, delay ms, shard of four.
    what: str
    value: float
    run: RunUsage
    state_bytes_a_symbol: float | None = None
    #: Events over those of the fullest lane, or fewer workers: the most that so many workers can gain.
    bound: float | None = None
    contender: str = "pipeline"

    def __str__(self) -> str:
        return f"{self.contender}, {self.what} {self.value:g}: {self.run.events_per_s:,.0f} events/s"


class BacktestRun(msgspec.Struct, frozen=True):
    """A backtest of one strategy in one round."""

    contender: str
    round: int
    #: CPU microseconds.
    event_us: float
    signals: int
    #: What others took of the machine meanwhile; None: not measured.
    noise: Noise | None = None

    def __str__(self) -> str:
        return f"round {self.round}: {self.contender} {self.event_us:.1f} us an event, {self.signals} signals"


class Memory(msgspec.Struct, frozen=True):
    """Resident memory over time."""

    seconds: list[float]
    #: By process, MiB.
    resident_mib: dict[str, list[float]]


class Report(msgspec.Struct):
    """All of it. What was not measured is empty."""

    machine: Machine
    quick: bool
    #: How much was measured, for a person.
    form: str = ""
    #: Pipeline's throughput over the contender's, median of the rounds.
    ratios: dict[str, float] = {}
    spreads: dict[str, Ratio] = {}
    #: CPU microseconds an event of all processes, by contender, median of the rounds.
    cpu_us: dict[str, float] = {}
    #: Pipeline's CPU an event over the contender's.
    cpu_ratios: dict[str, Ratio] = {}
    rounds: list[ContenderRun] = []
    #: At each rate, once it is warm, medians of the rounds.
    latency: list[Latency] = []
    #: From the start of the processes on.
    latency_at_start: Latency | None = None
    #: With two more workers than cores over one a core, at 2,000 events/s: p50, and p99.
    oversubscribed: Ratio | None = None
    oversubscribed_p99: Ratio | None = None
    #: The engine's CPU with the paper account over that without it, one of each round.
    account: list[float] = []
    #: Ingest's CPU an event with the HTTP API over that without it, one of each round.
    api: list[float] = []
    #: Ingest's CPU an event in a shard of four over that in the only one, with as many events, one of each round.
    shard: list[float] = []
    #: The most that others took of the machine in one of these rounds, by `account`, `api` or `shard`.
    noise: dict[str, Noise] = {}
    #: Of one strategy over one symbol's trades, beside another framework.
    backtests: list[BacktestRun] = []
    #: Of the shipped strategies, beside an earlier checkout.
    earlier: list[BacktestRun] = []
    cost: Cost | None = None
    points: list[Point] = []
    memory: Memory | None = None
    #: Where memory was measured, if that was an earlier run.
    memory_of: str = ""


def machine() -> Machine:
    """Look where this runs."""
    return Machine(
        os.cpu_count() or 1,
        _model(),
        platform.python_version(),
        round(os.getloadavg()[0], 2),
        "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")),
        datetime.now(UTC).date().isoformat(),
    )


def _model() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
