"""Performance of the strategies on recordings: signals, their confidence, the price after them, and the CPU time.

./run tasks strategies report FILE... > docs/strategies.md
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks.configuration import Configuration, registry
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.engine import MemoryLedger
from tasks.events import ALWAYS_READ, AnyEvent, Kind
from tasks.frames.model import RefusedFrame, SkippedFrame
from tasks.frames.plausibility import DEFAULT_LIMITS, FrameReader, PlausibilityLimits
from tasks.history import recordings
from tasks.history.input_report import InputReport
from tasks.protocol import batches
from tasks.protocol.routing import Router
from tasks.scoring.forward_returns import read_signals
from tasks.scoring.prices import PriceHistory
from tasks.scoring.signal_statistics import ForwardReturns, SignalStatistics, format_bps, summarize


class PerformanceRow(NamedTuple):
    """Performance of one strategy on one recording."""

    strategy: str
    events: int
    statistics: SignalStatistics
    #: CPU time an event.
    microseconds: float


def events(
    path: Path,
    report: InputReport = recordings.STRICT,
    limits: PlausibilityLimits = DEFAULT_LIMITS,
    kinds: Iterable[Kind] = ALWAYS_READ,
) -> list[AnyEvent]:
    """Return the events of a recording that are of some kinds, depth and trade always. Raises RecordingError.

    `report` is told what can't be used.
    """
    lines = enumerate(recordings.read(path, report), start=1)
    reader = FrameReader(limits, kinds)
    parsed = (reader.read(line.raw, line.stream, seq, line.received_at_ns) for seq, line in lines)
    return [each for each in parsed if not isinstance(each, SkippedFrame | RefusedFrame)]


class _StandaloneStrategy:
    """One strategy run by itself, in every pool that has it."""

    def __init__(self) -> None:
        self._ledger = MemoryLedger("report")
        self._events, self._seconds = 0, 0.0

    def run(self, pool: str, strategy: BoundStrategy, events: Sequence[AnyEvent]) -> None:
        # By itself, a shadow is a strategy like any other.
        alone = msgspec.structs.replace(strategy, emits=True)
        started_s = time.process_time()
        for batch in batches.split(events):
            self._ledger.run(pool, batch, (alone,), "report")
        self._seconds += time.process_time() - started_s
        self._events += len(events)

    def row(self, name: str, prices: PriceHistory) -> PerformanceRow:
        found = summarize(read_signals(self._ledger.signals), prices.series)
        return PerformanceRow(name, self._events, found, self._seconds / max(1, self._events) * 1e6)


def rows(events: Sequence[AnyEvent], configuration: Configuration, done: Callable[[str], None]) -> list[PerformanceRow]:
    """Return a row for each strategy, in the order of pools; `done` is called with its name after each pool."""
    prices, router, ran = (
        PriceHistory(),
        Router(configuration.routes()),
        defaultdict[str, _StandaloneStrategy](_StandaloneStrategy),
    )
    for each in events:
        prices.observe(each)
    for pool, strategies in registry.running(configuration).items():
        wanted = [
            each
            for each in events
            if any(lane.pool == pool for lane in router.lanes_of(each.venue, each.symbol, each.kind))
        ]
        for strategy in strategies:
            ran[strategy.name].run(pool, strategy, wanted)
            done(strategy.name)
    return [alone.row(name, prices) for name, alone in ran.items()]


def table(events: Sequence[AnyEvent], found: Iterable[PerformanceRow]) -> str:
    """Return the Markdown table of one recording."""
    times = [each.time_ms for each in events]
    seconds = (max(times) - min(times)) / 1000 if times else 0.0
    symbols = ", ".join(sorted({each.symbol for each in events}))
    lines = [
        f"{len(events):,} events in {seconds:.0f} s: {symbols}.",
        "",
        (
            "| strategy | events | buy | sell | confidence min / quartiles / max "
            "| after 1 s | after 10 s | after 60 s | µs an event |"
        ),
        "|---|--:|--:|--:|---|--:|--:|--:|--:|",
    ]
    return "\n".join([*lines, *map(_line, found)])


def _line(row: PerformanceRow) -> str:
    found = row.statistics
    confidence = " / ".join(f"{value:.2f}" for value in found.confidence or ()) or "-"
    forward = " | ".join(map(_mean, found.returns))
    actions = f"{found.buys} | {found.sells}"
    return f"| {row.strategy} | {row.events:,} | {actions} | {confidence} | {forward} | {row.microseconds:.0f} |"


def _mean(found: ForwardReturns | None) -> str:
    return f"{format_bps(found.mean_bps)} ({found.signals})" if found else "-"
