"""The page's messages: `hello` once, with all it needs to draw, and about once a second `tick`, with what changed.

Nothing here may disturb the pipeline. What it costs per event stands in `market`; all else is done once a second,
and most of it only while somebody watches.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from ingest.counters import Counters
from ingest.lanes import Lanes
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.paper_figures import PaperFigures
from ingest.monitoring.paper_probe import PaperProbe
from ingest.monitoring.server_stats import ServerProbe
from ingest.monitoring.unused_frames import UnusedFrames
from ingest.page.market import HISTORY_POINTS, PageMarket, SymbolHistory, SymbolRow
from ingest.page.marks import Mark, Marks
from tasks import invocation
from tasks.configuration.gate import Gate
from tasks.events import AnyEvent, Kind, event_facts
from tasks.ops.warm_ups import WarmUp
from tasks.protocol.counters import CounterName, Counts
from tasks.protocol.strategy_counts import strategy_counts
from tasks.scoring.live_returns import LiveReturns
from tasks.scoring.strategy_returns import StrategyReturns
from tasks.settings import Settings, without_login
from tasks.telemetry import latency

#: Of the signals; the oldest go first.
SIGNALS_KEPT = 500
#: A longer text of a signal is cut.
TEXT_CHARACTERS = 500
#: Over so many ticks latencies are summed up: a minute.
LATENCY_TICKS = 60

#: Of this process, since its start: what the page shows as rates.
_TOTALS: Sequence[CounterName] = ("frames", "events", "committed", "relayed", "resends")
#: Of the ledger, since its first day.
_COUNTERS: Sequence[CounterName] = ("repeats", "resends")
_LABELLED: Sequence[CounterName] = ("skipped", "refused", "dropped", "held", "signals", "errors", "unfilled")


class _Trigger(msgspec.Struct):
    venue: str = ""
    symbol: str = ""
    kind: str = ""
    id: int = 0


class _Signal(msgspec.Struct):
    """The fields of a signal that the page shows."""

    id: str
    strategy: str
    symbol: str
    action: str
    price: float
    confidence: float
    event_time_ms: int
    rationale: str = ""
    trigger: _Trigger = msgspec.field(default_factory=_Trigger)
    #: When it was committed, by Redis's clock.
    at_ms: int = 0


class _Past(SymbolHistory):
    """What a chart has before its last minutes, and the marks of all its signals."""

    marks: msgspec.Raw


class _KeptSignal(NamedTuple):
    """A signal: what is shown of it at first, and all of it."""

    shown: _Signal
    #: The contract's JSON.
    packed: bytes
    #: The event that it answers, if that was among the last ones when it went out.
    event: AnyEvent | None = None


_decode = msgspec.json.Decoder(_Signal).decode
_encode = msgspec.json.Encoder().encode


class PageSources(NamedTuple):
    """The components whose values the page shows."""

    totals: Counters
    lanes: Lanes
    server_probe: ServerProbe
    ready: Callable[[], tuple[bool, dict[str, Any]]]
    feed: FeedWatch
    unused: UnusedFrames
    #: Gates of the strategies that are configured, by name and pool.
    gates: Callable[[], Mapping[str, Mapping[str, Gate]]]
    paper: PaperProbe
    returns: LiveReturns
    #: What a backtest found, if one is known.
    expected: Sequence[StrategyReturns] = ()
    #: Whether somebody who has a token can change something.
    has_api: bool = False


class PageState:
    """The data of the page, encoded as its messages."""

    def __init__(self, settings: Settings, sources: PageSources) -> None:
        self.market = PageMarket()
        self._sources = sources
        self._about = {
            "namespace": settings.namespace,
            "links": {"Flower": without_login(settings.flower_url), "Grafana": without_login(settings.grafana_url)},
            "started_ms": time.time_ns() // 1_000_000,
            "quiet_s": (settings.feed_quiet_warn_s, settings.feed_quiet_s),
            "expected": sources.expected,
            "has_api": sources.has_api,
            # What led to a signal can be run again while a stream keeps the frames.
            "has_stream": settings.ingest_source == "jetstream",
            # As they are called here: outside a checkout there is no ./run.
            "commands": {"tasks": invocation.command("tasks"), "demo": invocation.as_called("./run demo")},
        }
        #: What the ledger counted; empty until it was asked.
        self.counters = Counts()
        self._signals: dict[str, _KeptSignal] = {}
        self._fresh: list[_Signal] = []
        self._marks = Marks()
        #: By strategy; empty until they were read.
        self._warm_ups: Mapping[str, WarmUp] = {}
        #: As it was told last.
        self._paper: PaperFigures | None = None
        self._returns: Sequence[StrategyReturns] = ()
        self._latencies: deque[Counter[int]] = deque([Counter()], maxlen=LATENCY_TICKS + 1)
        #: (p50, p99) in milliseconds, one a tick.
        self._quantiles: deque[tuple[float | None, float | None]] = deque(maxlen=HISTORY_POINTS)

    def counted(self, counters: Counts) -> None:
        """Take what the ledger has counted until now; what other ledgers have is known from earlier."""
        others = self._sources.server_probe.other_ledgers.counts
        self.counters = Counts.sum_of((counters, others))

    def warmed(self, warm_ups: Mapping[str, WarmUp]) -> None:
        """Take how far strategies have warmed up, by their names."""
        self._warm_ups = warm_ups

    # Signals

    def relayed(self, entry: bytes, packed: bytes) -> None:
        """Take a signal that went out; `entry` is its id in the ledger's stream. What can't be read is left out."""
        self._sources.returns.signal(packed)
        signal = self._read(entry, packed)
        if signal is not None and signal.shown.id not in self._signals:
            of = signal.shown.trigger
            event = self._sources.lanes.find(of.venue, of.symbol, cast("Kind", of.kind), of.id)
            self._signals[signal.shown.id] = signal._replace(event=event)
            self._fresh.append(signal.shown)
            self._mark(signal.shown)
            del self._fresh[:-SIGNALS_KEPT]
            while len(self._signals) > SIGNALS_KEPT:
                del self._signals[next(iter(self._signals))]

    def remember(self, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        """Take the signals of earlier, newest first, as a ledger's stream gives them; of all, the last ones are kept.

        Connected browsers need another `hello`.
        """
        read = [self._read(entry, fields.get(b"signal", b"")) for entry, fields in reversed(entries)]
        earlier = {signal.shown.id: signal for signal in read if signal}
        for name, signal in earlier.items():
            if name not in self._signals:
                self._mark(signal.shown)
        both = sorted((earlier | self._signals).items(), key=lambda item: item[1].shown.at_ms)
        self._signals = dict(both[-SIGNALS_KEPT:])

    def _mark(self, signal: _Signal) -> None:
        mark = Mark(signal.id, signal.strategy, signal.action, signal.price, signal.event_time_ms)
        self._marks.add(signal.trigger.venue, signal.symbol, mark)

    @staticmethod
    def _read(entry: bytes, packed: bytes) -> _KeptSignal | None:
        try:
            signal = _decode(packed)
            signal.at_ms = int(entry.partition(b"-")[0])
        except (ValueError, RecursionError):
            return None
        signal.rationale = signal.rationale[:TEXT_CHARACTERS]
        return _KeptSignal(signal, packed)

    def whole_signal(self, name: str) -> bytes | None:
        """Return all of a signal by its id, the contract's JSON; None: it is not among those that are kept."""
        kept = self._signals.get(name)
        return kept and kept.packed

    def event_of_signal(self, name: str) -> bytes | None:
        """Return the event that a signal answers, by the signal's id, as JSON; None: it is not kept."""
        kept = self._signals.get(name)
        return _encode(event_facts(kept.event)) if kept and kept.event else None

    def past(self, venue: str, symbol: str) -> bytes:
        """Return the chart of a symbol before what `hello` tells, with its marks, as JSON."""
        points = msgspec.structs.asdict(self.market.past(venue, symbol))
        return _encode(_Past(**points, marks=self._marks.packed(venue, symbol)))

    @property
    def leads(self) -> bool:
        """Whether this process does not stand by."""
        return not self._sources.ready()[1].get("standing_by")

    # What is told

    def tick(self, *, watched: bool) -> list[bytes]:
        """Move on by a second; return the messages for those who watch."""
        changed = self._tick_market(time.monotonic())
        self._sum_up()
        fresh, self._fresh = self._fresh, []
        self._sources.returns.tick()
        paper, self._paper = self._paper, self._sources.paper.seen
        returns, self._returns = self._returns, self._sources.returns.found
        if not watched:
            return []
        texts = [message("tick", self._now() | {"symbols": changed})]
        if fresh:
            texts.insert(0, message("signals", fresh))
        if paper is not self._paper:
            texts.append(message("paper", self._paper))
        if returns is not self._returns:
            texts.append(message("returns", self._returns))
        return texts

    def _tick_market(self, now_s: float) -> list[SymbolRow]:
        fresh = self._sources.feed.tick(now_s)
        self._sources.unused.tick(now_s, fresh, self._sources.totals.left_out())
        return self.market.tick(fresh, now_s)

    def hello(self) -> bytes:
        """Return the first message for somebody who begins to watch."""
        told = self._about | self._now()
        told["symbols"] = self.market.rows
        told["history"] = self.market.history
        told["latencies"] = list(self._quantiles)
        told["signals"] = [kept.shown for kept in self._signals.values()]
        told["paper"] = self._sources.paper.seen
        told["returns"] = self._sources.returns.found
        return message("hello", told)

    def _sum_up(self) -> None:
        now = latency.by_bucket(self._sources.totals.totals)
        self._latencies.append(now)
        minute = now - self._latencies[0]
        self._quantiles.append((latency.quantile_ms(minute, 0.5), latency.quantile_ms(minute, 0.99)))

    def _now(self) -> dict[str, Any]:
        """Return all but the market: it is short, so it is sent whole each time."""
        totals, lanes, server_probe, ready, feed, _, gates, *_ = self._sources
        ages_s = lanes.ages_s(time.time_ns())
        seen = server_probe.seen
        return {
            "at_ms": time.time_ns() // 1_000_000,
            "ready": dict(zip(("ok", "parts"), ready(), strict=True)),
            "totals": {name: totals.totals.of(name) for name in _TOTALS},
            "counters": {name: self.counters.of(name) for name in _COUNTERS},
            "labelled": {name: self.counters.by_label(name) for name in _LABELLED},
            "lanes": [[str(lane.id), lane.held, round(ages_s[lane.id], 2)] for lane in lanes],
            "feed_age_s": feed.age_s(time.monotonic()),
            # Without end it is null.
            "feed_patience_s": feed.patience_s,
            "held": [lanes.held_bytes, lanes.limits.total_bytes],
            "latency": self._quantiles[-1] if self._quantiles else (None, None),
            "deadletters": [seen.deadletters, round(seen.deadletter_age_s)] if seen else None,
            "queues": seen.queues if seen else {},
            "strategies": {name: {pool: _state(gate) for pool, gate in of.items()} for name, of in gates().items()},
            "warming": {name: each.text for name, each in self._warm_ups.items() if each.warming},
            "held_by": {name: each.held for name, each in strategy_counts(self.counters).items() if each.held},
            "event_us": {
                name: each.event_us
                for name, each in strategy_counts(server_probe.times.last_minute(time.monotonic())).items()
            },
        }


def _state(gate: Gate) -> str:
    """Return what holds a strategy's signals back most, or that nothing does."""
    return "off" if gate.off else "killed" if gate.killed else "paused" if gate.paused else "live"


def message(event: str, told: Any) -> bytes:
    """Return the bytes of a server-sent event of that name, with `told` as JSON for its data."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), _encode(told))
