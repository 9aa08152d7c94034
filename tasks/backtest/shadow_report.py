"""The difference between strategies and their shadows: in signals, in profit, and in the price afterwards. Pure.

The same for what the ledger of a live run holds and for what a backtest leaves behind. Compared is what both versions
said since they have been running beside each other: for each stream of events, since the first event that both saw.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec

from tasks.configuration.audit import AuditLine
from tasks.configuration.bound_strategy import BoundStrategy
from tasks.events import Kind
from tasks.paper import StoredAccount, closed_position
from tasks.paper.closed_position import ClosedPosition
from tasks.protocol import shadowed
from tasks.protocol.records import NEW_GENERATION_MS
from tasks.protocol.routing import Pool
from tasks.scoring.forward_returns import HORIZONS_S, Series, SignalRow, SignalTrigger
from tasks.scoring.signal_statistics import summarize


class _Trigger(SignalTrigger):
    id: int

    @property
    def stream(self) -> tuple[str, str, Kind]:
        return self.venue, self.symbol, self.kind


class _Signal(SignalRow, kw_only=True):
    id: str
    config_version: str
    trigger: _Trigger

    @property
    def answer(self) -> tuple[object, ...]:
        """What two versions both say: the same action for the same symbol on the same event."""
        return (self.symbol, self.action, *self.trigger.stream, self.trigger.id, self.event_time_ms)


_read = msgspec.json.Decoder(_Signal).decode


class RunningPool(NamedTuple):
    """A pool under one version of the configuration, with the versions of strategies that run in it."""

    pool: Pool
    strategies: Sequence[BoundStrategy]


class ComparedRun(NamedTuple):
    """What a run left behind, live or in a backtest."""

    #: By version of the configuration.
    pools: Mapping[str, Sequence[RunningPool]]
    #: The version whose shadows are reported.
    in_force: str
    audit: Sequence[AuditLine]
    #: The contract's JSON.
    signals: Iterable[bytes]
    #: Entries of `protocol.shadowed`.
    shadowed: Iterable[bytes]
    #: JSON of closed positions.
    positions: Iterable[bytes]
    accounts: Sequence[StoredAccount]
    #: Prices; None: there are none, and so no returns.
    series: Series | None = None
    #: Signals of events before it are left out: not all of them are kept. Unix milliseconds.
    kept_since_ms: int = 0


class PriceReturn(msgspec.Struct, frozen=True):
    """The price after signals, over one horizon: of how many, in basis points, and the share that was right."""

    signals: int
    mean_bps: float
    median_bps: float
    right: float


class VersionFigures(msgspec.Struct, frozen=True):
    """What one version of a strategy said and earned; profit is in quote currency, after fees and funding."""

    signals: int
    positions: int
    #: The share of positions that won; None: there is no position.
    hit_rate: float | None
    pnl: float
    #: Of what is open, at the last price.
    unrealised: float
    #: By horizon in seconds; None: no prices were given, or none at that time.
    returns: dict[str, PriceReturn | None] | None


class ShadowRow(msgspec.Struct, frozen=True):
    """The difference for one venue and symbol; both are empty in the row of all."""

    venue: str
    symbol: str
    #: Signals of one symbol, action and event.
    both: int
    only_original: int
    only_shadow: int
    original: VersionFigures
    shadow: VersionFigures


class ShadowDifference(msgspec.Struct, frozen=True):
    """The difference between a strategy and one shadow of it."""

    pool: str
    original: str
    shadow: str
    #: The version whose signals go out; empty: another shadow's do.
    emits: str
    #: Event time from which on both ran, the earliest of all symbols, unix milliseconds; None: no event came yet.
    began_ms: int | None
    total: ShadowRow
    rows: list[ShadowRow]


class _Beginning(NamedTuple):
    """The first event of a stream that both versions saw."""

    id: int
    time_ms: int

    def covers(self, signal: _Signal) -> bool:
        if self.id >= 0 and signal.event_time_ms <= self.time_ms + NEW_GENERATION_MS:
            return signal.trigger.id >= self.id
        return signal.event_time_ms >= self.time_ms


#: Pool and name of a version.
_Version = tuple[str, str]


def report(run: ComparedRun) -> list[ShadowDifference]:
    """Return the differences of all strategies and shadows that run, by pool and shadow. Raises msgspec.MsgspecError."""
    read = _RunReader(run)
    return [
        _difference(read, pool.name, each)
        for pool, strategies in run.pools[run.in_force]
        for each in strategies
        if each.shadows and any(other.name == each.shadows for other in strategies)
    ]


class _RunReader:
    """A run's signals and positions, by version."""

    def __init__(self, run: ComparedRun) -> None:
        self.run = run
        self._known: dict[tuple[str, str, str, Kind, bool], _Version | None] = {}

    @cached_property
    def signals(self) -> Mapping[_Version, Sequence[_Signal]]:
        found: defaultdict[_Version, list[_Signal]] = defaultdict(list)
        for signal, name in self._said():
            version = self._version(signal, name)
            if version and signal.event_time_ms >= self.run.kept_since_ms:
                found[version].append(signal)
        return found

    @cached_property
    def positions(self) -> Mapping[str, Sequence[ClosedPosition]]:
        found: defaultdict[str, list[ClosedPosition]] = defaultdict(list)
        for packed in self.run.positions:
            closed = closed_position.unpack(packed)
            found[closed.strategy].append(closed)
        return found

    def _said(self) -> Iterator[tuple[_Signal, str]]:
        """Yield each signal, with its version where it did not go out."""
        yield from ((_read(packed), "") for packed in self.run.signals)
        for entry in map(shadowed.unpack, self.run.shadowed):
            yield _read(entry.signal), entry.version

    def _version(self, signal: _Signal, name: str) -> _Version | None:
        """Return whose a signal is: what went out is its who emitted under the signal's configuration."""
        key = (signal.config_version, name or signal.strategy, signal.trigger.symbol, signal.trigger.kind, not name)
        if key not in self._known:
            self._known[key] = next(self._versions(*key), None)
        return self._known[key]

    def _versions(self, config: str, name: str, symbol: str, kind: Kind, went_out: bool) -> Iterator[_Version]:  # noqa: FBT001 a part of the key
        for pool, strategies in self.run.pools.get(config, ()):
            for each in strategies if pool.wants(symbol, kind) else ():
                if each.emits == went_out and name == (each.signal_name if went_out else each.name):
                    yield pool.name, each.name


def _difference(read: _RunReader, pool: str, shadow: BoundStrategy) -> ShadowDifference:
    beginnings = _beginnings(read.run, pool, shadow)

    def since_both_run(name: str) -> list[_Signal]:
        said = read.signals.get((pool, name), ())
        return [
            each for each in said if (began := beginnings.get(each.trigger.stream)) is not None and began.covers(each)
        ]

    names = shadow.shadows, shadow.name
    sides = [since_both_run(name) for name in names]
    places = sorted({(each.trigger.venue, each.symbol) for side in sides for each in side})
    return ShadowDifference(
        pool,
        *names,
        _emitting(read.run, pool, names),
        min((each.time_ms for each in beginnings.values()), default=None),
        _row(read, pool, names, ("", ""), sides),
        [
            _row(read, pool, names, place, [[each for each in side if _place(each) == place] for side in sides])
            for place in places
        ],
    )


def _place(signal: _Signal) -> tuple[str, str]:
    return signal.trigger.venue, signal.symbol


def _emitting(run: ComparedRun, pool: str, names: tuple[str, str]) -> str:
    running = {(each.pool.name, bound.name): bound for each in run.pools[run.in_force] for bound in each.strategies}
    return next((name for name in names if running[pool, name].emits), "")


def _beginnings(run: ComparedRun, pool: str, shadow: BoundStrategy) -> dict[tuple[str, str, Kind], _Beginning]:
    """Return for each stream since when both versions have been running."""
    found: dict[tuple[str, str, Kind], _Beginning] = {}
    for line in run.audit:
        stream = (line.venue, line.symbol, line.kind)
        if line.pool != pool:
            continue
        running = {
            bound.name
            for each in run.pools.get(line.config_version, ())
            if each.pool.name == pool
            for bound in each.strategies
        }
        if not {shadow.name, shadow.shadows} <= running:
            found.pop(stream, None)
        elif stream not in found:
            found[stream] = _Beginning(line.id, line.time_ms)
    return found


def _row(
    read: _RunReader,
    pool: str,
    names: tuple[str, str],
    place: tuple[str, str],
    sides: Sequence[Sequence[_Signal]],
) -> ShadowRow:
    original, shadow = ({each.answer for each in side} for side in sides)
    figures = [_figures(read, pool, name, side) for name, side in zip(names, sides, strict=True)]
    return ShadowRow(*place, len(original & shadow), len(original - shadow), len(shadow - original), *figures)


def _figures(read: _RunReader, pool: str, name: str, signals: Sequence[_Signal]) -> VersionFigures:
    """Return the figures of a version: of these signals, and of the positions that they opened."""
    ids = {each.id for each in signals}
    closed = [each for each in read.positions.get(name, ()) if each.signal_id in ids]
    held = [
        each.account.position
        for each in read.run.accounts
        if (each.pool, each.strategy) == (pool, name)
        if each.account.position is not None and each.account.position.signal_id in ids
    ]
    return VersionFigures(
        len(signals),
        len(closed),
        sum(each.pnl > 0 for each in closed) / len(closed) if closed else None,
        math.fsum(each.pnl for each in closed),
        math.fsum(each.unrealised for each in held),
        _returns(signals, read.run.series) if read.run.series else None,
    )


def _returns(signals: Sequence[_Signal], series: Series) -> dict[str, PriceReturn | None]:
    found = summarize(signals, series).returns
    return {
        str(horizon_s): PriceReturn(*each) if each else None for horizon_s, each in zip(HORIZONS_S, found, strict=True)
    }
