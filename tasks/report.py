"""What the strategies did on recordings: how often they spoke, how surely, what the price did then, what it cost.

python -m tasks strategies report FILE... > docs/strategies.md
"""

import statistics
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks import engine, recordings, registry
from tasks.batches import MAX_BATCH_EVENTS
from tasks.configuration import Configuration
from tasks.events import AnyEvent, Depth
from tasks.frame_parts import Arrival, Refused, Skipped
from tasks.frames import parse
from tasks.routing import Router
from tasks.strategy import AnyStrategy

HORIZONS_S = (1, 10, 60)


class Prices(NamedTuple):
    """The mid prices of one symbol, or its trades where there are no books."""

    times_ms: list[int]
    prices: list[float]

    def forward_bps(self, time_ms: int, seconds: float) -> float | None:
        """Give the return from the last price at `time_ms` to that `seconds` later; None outside of the recording."""
        start, end = (self._at(moment) for moment in (time_ms, time_ms + round(seconds * 1000)))
        return None if start is None or end is None else (end / start - 1) * 1e4

    def _at(self, time_ms: int) -> float | None:
        if not self.times_ms or not self.times_ms[0] <= time_ms <= self.times_ms[-1]:
            return None
        return self.prices[bisect_left(self.times_ms, time_ms + 1) - 1]


class Spoken(msgspec.Struct):
    """The part of a signal that is reported."""

    symbol: str
    action: str
    confidence: float
    event_time_ms: int


class Row(NamedTuple):
    """One strategy on one recording."""

    strategy: str
    events: int
    actions: Counter[str]
    #: Sorted.
    confidences: list[float]
    #: By horizon, in basis points, with the sign of the action: above zero is right.
    forward_bps: tuple[list[float], ...]
    microseconds: float


def events(path: Path) -> list[AnyEvent]:
    """Read the events of a recording. Raises RecordingError."""
    lines = enumerate(recordings.read(path), start=1)
    parsed = (parse(line.raw, Arrival(line.stream, seq, line.received_at_ns)) for seq, line in lines)
    return [each for each in parsed if not isinstance(each, Skipped | Refused)]


def rows(market: Sequence[AnyEvent], configuration: Configuration, done: Callable[[str], None]) -> Iterator[Row]:
    """Run each strategy of the configuration by itself, in the order of its pools; `done` is told its name."""
    prices, router = _prices(market), Router(configuration.routes())
    for pool, strategies in registry.build(configuration).items():
        wanted = [
            each
            for each in market
            if any(lane.pool == pool for lane in router.lanes_of(each.venue, each.symbol, each.kind))
        ]
        for strategy in strategies:
            yield _row(strategy, wanted, prices)
            done(strategy.name)


def _row(strategy: AnyStrategy, market: Sequence[AnyEvent], prices: dict[str, Prices]) -> Row:
    started_s, signals, held = time.process_time(), list[bytes](), dict[str, bytes]()
    for first in range(0, len(market), MAX_BATCH_EVENTS):
        batch = market[first : first + MAX_BATCH_EVENTS]
        wanted = {name: held.get(name) for name in engine.fields(batch, (strategy,))}
        outcome = engine.Run("report", "report", (strategy,), "report", wanted).finish(batch)
        held.update(outcome.fields)
        signals += outcome.signals
    seconds = time.process_time() - started_s
    spoken = [msgspec.json.decode(packed, type=Spoken) for packed in signals]
    return Row(
        strategy.name,
        len(market),
        Counter(each.action for each in spoken),
        sorted(each.confidence for each in spoken),
        tuple(list(_forward(spoken, prices, horizon_s)) for horizon_s in HORIZONS_S),
        seconds / len(market) * 1e6 if market else 0.0,
    )


def _forward(spoken: Iterable[Spoken], prices: dict[str, Prices], horizon_s: int) -> Iterator[float]:
    for each in spoken:
        change = prices[each.symbol].forward_bps(each.event_time_ms, horizon_s)
        if change is not None and each.action in {"buy", "sell"}:
            yield change if each.action == "buy" else -change


def _prices(market: Sequence[AnyEvent]) -> dict[str, Prices]:
    found: dict[tuple[str, str], Prices] = defaultdict(lambda: Prices([], []))
    for each in market:
        series = found[each.symbol, each.kind]
        # A step back in time counts as none, so that the times can be searched.
        series.times_ms.append(max(each.time_ms, series.times_ms[-1] if series.times_ms else 0))
        series.prices.append(each.mid if isinstance(each, Depth) else each.price)
    names = {symbol for symbol, _ in found}
    return {name: found.get((name, "depth")) or found[name, "trade"] for name in names}


def table(market: Sequence[AnyEvent], found: Iterable[Row]) -> str:
    """Give the Markdown table of one recording."""
    times = [each.time_ms for each in market]
    seconds = (max(times) - min(times)) / 1000 if times else 0.0
    symbols = ", ".join(sorted({each.symbol for each in market}))
    lines = [
        f"{len(market):,} events in {seconds:.0f} s: {symbols}.",
        "",
        "| strategy | events | buy | sell | confidence min / quartiles / max | after 1 s | after 10 s | after 60 s | µs an event |",
        "|---|--:|--:|--:|---|--:|--:|--:|--:|",
    ]
    return "\n".join([*lines, *map(_line, found)])


def _line(row: Row) -> str:
    confidence = " / ".join(f"{value:.2f}" for value in quantiles(row.confidences)) or "-"
    forward = " | ".join(_mean(values) for values in row.forward_bps)
    actions = f"{row.actions['buy']} | {row.actions['sell']}"
    return f"| {row.strategy} | {row.events:,} | {actions} | {confidence} | {forward} | {row.microseconds:.0f} |"


def quantiles(values: Sequence[float]) -> list[float]:
    """Give minimum, quartiles and maximum of sorted values; none of none."""
    if len(values) < 2:
        return list(values) * 5
    return [values[0], *statistics.quantiles(values, n=4, method="inclusive"), values[-1]]


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):+.2f} ({len(values)})" if values else "-"
