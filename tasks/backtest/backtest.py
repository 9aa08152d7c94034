"""The backtest: the same routing, records and engine over recordings, in this process, without servers.

Events go to the engine as `frames.parse` made them: the codec of the batches gives back what it got (tested), so
nothing is packed on the way. Records and states do pass through their codec, at the end of each batch, as live.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks.backtest.paper_statistics import EventSpans, PaperRow, TimeSpan, rows
from tasks.backtest.symbol_shard import SymbolShard
from tasks.configuration import Configuration, registry
from tasks.configuration.audit import Audit
from tasks.engine import MemoryLedger
from tasks.events import AnyEvent, Event, Kind, Venue
from tasks.frames.model import RefusedFrame, SkippedFrame
from tasks.frames.plausibility import DEFAULT_LIMITS, FrameReader, PlausibilityLimits
from tasks.history import recordings
from tasks.paper import positions_digest, read_accounts
from tasks.paper.closed_position import unpack as unpack_position
from tasks.protocol.batches import MAX_BATCH_EVENTS
from tasks.protocol.counters import EVENTS, FRAMES, Counts
from tasks.protocol.digest import digest
from tasks.protocol.routing import LaneId, Router
from tasks.scoring.prices import PriceHistory

SOURCE = "backtest"
#: How many lines there are from one call of `progress` to the next.
PROGRESS_LINES = 1_000


class BacktestResult(msgspec.Struct):
    """Result of a backtest. Its fields are named as those of `LedgerSummary`."""

    frames: int
    events: int
    skipped: dict[str, int]
    refused: dict[str, int]
    repeats: int
    errors: dict[str, int]
    signals: dict[str, int]
    seconds: float
    digest: str
    #: Of the paper accounts.
    positions_digest: str
    #: Signals that became no order of an account, or only in part, by reason.
    unfilled: dict[str, int]
    #: What the accounts earned; empty: there is none.
    paper: list[PaperRow]


class BacktestPart(NamedTuple):
    """Result of one process for its shard of the symbols."""

    #: Of frames and events; the ledger has those of what was committed.
    counts: Counts
    ledger: MemoryLedger
    market: PriceHistory | None
    #: The first frame that was refused for each reason: its number, its place and why.
    refusals: dict[str, tuple[int, str]]
    spans: EventSpans


class _Lane:
    """What waits in a lane to be run."""

    __slots__ = ("events", "pool", "version")

    def __init__(self, pool: str, version: str) -> None:
        self.pool, self.version = pool, version
        self.events: list[AnyEvent] = []


class _Route(NamedTuple):
    """What events of one venue, symbol and kind go to."""

    lanes: tuple[_Lane, ...]
    #: Of the symbol's event times; None: they are counted by the process whose symbol it is.
    span: TimeSpan | None


class Backtest:
    """A ledger in memory and the lanes before it."""

    def __init__(
        self,
        configuration: Configuration,
        batch_events: int = MAX_BATCH_EVENTS,
        audit: Audit | None = None,
        shard: SymbolShard | None = None,
        market: PriceHistory | None = None,
        limits: PlausibilityLimits = DEFAULT_LIMITS,
    ) -> None:
        """Run under `configuration`, in batches of `batch_events`; the size never changes what comes out.

        With `audit`, each event runs under the configuration of the audited run. With `shard`, only its symbols are
        worked on. `market`, if there is one, sees every event once. Raises SettingsError.
        """
        self.shard = shard or SymbolShard()
        pools = configuration.routes()
        self._router = Router(pool for pool in pools if pool.key == "symbol")
        self._all_router = Router(pool for pool in pools if pool.key == "all" and self.shard.is_first)
        self._audit = audit
        self._market = market
        self._reader = FrameReader(limits, configuration.kinds)
        self._version = configuration.version
        chosen = {self._version: configuration} | dict(audit.configurations if audit else {})
        self._strategies = {version: registry.running(each) for version, each in chosen.items()}
        self._batch_events = batch_events
        self._lanes: dict[LaneId, _Lane] = {}
        self._routes: dict[tuple[Venue, str, Kind, bool], _Route] = {}
        self._counts = Counts()
        #: Those that are not in the counts yet.
        self._events = 0
        self._refusals: dict[str, tuple[int, str]] = {}
        self._spans = EventSpans()
        #: Number of the last line.
        self._seq = 0
        #: What came out, in no particular order between lanes.
        self.ledger = MemoryLedger(SOURCE)

    def run(
        self, lines: Iterable[recordings.RecordingLine], progress: Callable[[int], None] = lambda _: None
    ) -> BacktestResult:
        """Process every line and return the result. Raises RecordingError."""
        started_s = time.perf_counter()
        self.work(lines, progress)
        return self.result(time.perf_counter() - started_s)

    def work(self, lines: Iterable[recordings.RecordingLine], progress: Callable[[int], None] = lambda _: None) -> None:
        """Process every line; `progress` is called periodically with the number of further lines.

        A second call goes on after the lines of the first. Raises RecordingError.
        """
        told = self._seq
        for self._seq, line in enumerate(lines, start=told + 1):
            self._take(line, self._seq)
            if self._seq - told >= PROGRESS_LINES:
                progress(self._seq - told)
                told = self._seq
        progress(self._seq - told)
        for lane in self._lanes.values():
            self._flush(lane)
        self._counts[FRAMES] += self._events
        self._counts[EVENTS] += self._events
        self._events = 0

    def part(self) -> BacktestPart:
        """Return this process's part of the result."""
        return BacktestPart(self._counts, self.ledger, self._market, self._refusals, self._spans)

    def add(self, part: BacktestPart) -> None:
        """Add the part of another process, which has other symbols."""
        self._counts.update(part.counts)
        self.ledger.add(part.ledger)
        for reason, first in part.refusals.items():
            self._refusals[reason] = min(first, self._refusals.get(reason, first))
        self._spans.add(part.spans)
        if self._market and part.market:
            self._market.add(part.market)

    def result(self, took_s: float) -> BacktestResult:
        """Return the result, of all parts that were added."""
        return BacktestResult(
            frames=self._counts.of("frames"),
            events=self._counts.of("events"),
            skipped=self._counts.by_label("skipped"),
            refused=self._counts.by_label("refused"),
            repeats=self.ledger.counts.of("repeats"),
            errors=self.ledger.counts.by_label("errors"),
            signals=self.ledger.counts.by_label("signals"),
            seconds=round(took_s, 3),
            digest=self.digest(),
            positions_digest=positions_digest(self.ledger.positions, self.ledger.accounts()),
            unfilled=self.ledger.counts.by_label("unfilled"),
            paper=rows(read_accounts(self.ledger.accounts()), map(unpack_position, self.ledger.positions), self._spans),
        )

    def _take(self, line: recordings.RecordingLine, seq: int) -> None:
        mine = self.shard.claim_stream(line)
        if mine is False and not self._all_wants(line):
            return
        outcome = self._reader.read(line.raw, line.stream, seq, line.received_at_ns)
        if mine is None:
            mine = self.shard.claim(outcome.symbol if isinstance(outcome, Event) else "")
        if isinstance(outcome, Event):
            route = self._routes.get((outcome.venue, outcome.symbol, outcome.kind, mine)) or self._route(outcome, mine)
            if route.span is not None:
                self._events += 1
                route.span.take(outcome.time_ms)
                if self._market:
                    self._market.observe(outcome)
            for lane in route.lanes:
                self._put(lane, outcome)
        elif mine:
            self._count_other(outcome, line)

    def _route(self, event: AnyEvent, mine: bool) -> _Route:  # noqa: FBT001 a part of the key
        routers = (self._router, self._all_router) if mine else (self._all_router,)
        names = [name for router in routers for name in router.lanes_of(event.venue, event.symbol, event.kind)]
        lanes = tuple(self._lanes.setdefault(name, _Lane(name.pool, self._version)) for name in names)
        route = _Route(lanes, self._spans.observe(event) if mine else None)
        self._routes[event.venue, event.symbol, event.kind, mine] = route
        return route

    def _all_wants(self, line: recordings.RecordingLine) -> bool:
        stream = self.shard.stream(line)
        if stream is None or stream.kind is None:
            return False
        # Whether a book is its symbol's is told by trades as well.
        kinds: tuple[Kind, ...] = (stream.kind, "depth")
        return any(pool.wants(stream.symbol, kind) for pool in self._all_router.pools for kind in kinds)

    def _count_other(self, outcome: SkippedFrame | RefusedFrame, line: recordings.RecordingLine) -> None:
        self._counts[FRAMES] += 1
        if isinstance(outcome, SkippedFrame):
            self._counts.add("skipped", outcome.kind)
            return
        self._counts.add("refused", outcome.reason)
        if outcome.reason not in self._refusals:
            said = f"{line.place or line.stream} is refused: {outcome.detail}"
            self._refusals[outcome.reason] = (self._seq, said)

    def _put(self, lane: "_Lane", event: AnyEvent) -> None:
        if self._audit and (version := self._audit.version(lane.pool, event)) != lane.version:
            self._flush(lane)
            lane.version = version
        lane.events.append(event)
        if len(lane.events) >= self._batch_events:
            self._flush(lane)

    def _flush(self, lane: "_Lane") -> None:
        events, lane.events = lane.events, []
        if events:
            self.ledger.run(lane.pool, events, self._strategies[lane.version][lane.pool], lane.version)

    def digest(self) -> str:
        """Return the digest; equal to the live pipeline's over the same frames."""
        return digest(self.ledger.signals, self.ledger.records())


def run(paths: list[Path], configuration: Configuration) -> BacktestResult:
    """Run over recordings, merged by when they were received."""
    return Backtest(configuration).run(recordings.merge(paths))
