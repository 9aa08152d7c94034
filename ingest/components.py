"""The components of one ingest process, put together. Nothing is opened here."""

import socket
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry

from ingest.api.handler import api_of
from ingest.connectivity import Connectivity
from ingest.counters import Counted, Counters
from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.breaker import Breaker
from ingest.dispatch.celery_publisher import CeleryPublisher
from ingest.dispatch.checkpoints import Checkpoints
from ingest.dispatch.conditions import SenderConditions
from ingest.dispatch.known_symbols import KnownSymbols
from ingest.dispatch.notice_listener import NoticeListener
from ingest.dispatch.sender import Sender
from ingest.frame_handler import FrameHandler
from ingest.lanes import LaneLimits, Lanes
from ingest.lanes.frame_partitions import frame_partitions
from ingest.lanes.rtt_estimator import TIMEOUT_BOUNDS, TimeoutBounds
from ingest.lanes.symbol_cap import CappedReader
from ingest.ledger import IngestLedger
from ingest.monitoring.exporter import Exporter, Probes
from ingest.monitoring.feed_reports import FeedReports
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.findings import Findings
from ingest.monitoring.foreign_keys import ForeignKeys
from ingest.monitoring.frame_stream import FrameStream
from ingest.monitoring.health import Health, late_lanes
from ingest.monitoring.lifecycle import Lifecycle
from ingest.monitoring.memory_guard import MemoryGuard
from ingest.monitoring.other_ledgers import FIRST
from ingest.monitoring.paper_probe import PaperProbe
from ingest.monitoring.record_probe import RecordProbe
from ingest.monitoring.server_stats import ServerProbe
from ingest.monitoring.status_responder import StatusResponder
from ingest.monitoring.unused_frames import UnusedFrames
from ingest.monitoring.verdict_publisher import VerdictPublisher
from ingest.page.http import Page
from ingest.page.page_state import PageSources, PageState
from ingest.refused_frames import RefusedFrames
from ingest.relay import Relay, Relays, SignalStreams
from ingest.sources.base import Source
from ingest.sources.core import CoreSource
from ingest.sources.jetstream import StreamSource
from ingest.sources.strays import StrayListener
from ingest.steps import StepRunner
from ingest.transport.connection import NatsConnection
from tasks.configuration import Configuration
from tasks.errors import UNREADABLE, SettingsError
from tasks.events import AnyEvent, Kind
from tasks.ledger.configurations import ConfigurationStore, read_file
from tasks.ledger.reader import LedgerReader
from tasks.ops.warm_ups import warm_ups
from tasks.protocol.routing import Router
from tasks.scoring import strategy_returns
from tasks.scoring.live_returns import LiveReturns
from tasks.scoring.strategy_returns import StrategyReturns
from tasks.settings import Settings, frame_limits, mask
from tasks.telemetry.build_info import BuildInfo

#: How long ago other shards may have got something, to count as going on: some answers of the ledger.
OTHERS_S = 15.0


class Components:
    """All components of one ingest process, each constructed with its dependencies."""

    def __init__(self, settings: Settings, timeouts: TimeoutBounds = TIMEOUT_BOUNDS) -> None:
        """Raises SettingsError for a bad strategies file, or a bad file of expected returns."""
        self.settings = settings
        chosen = read_file(settings.strategies_file)
        self.lifecycle, self.counters, self.feed_reports = Lifecycle(), Counters(), FeedReports()
        self.refused, self.api = RefusedFrames(self.counters), api_of(settings)
        self.ledger = IngestLedger(settings)
        where = {"nats": mask(settings.nats_url), "redis": mask(self.ledger.servers.ledger_url)}
        self.connectivity = Connectivity(where)
        self.lanes = _make_lanes(settings, chosen, timeouts)
        self.partitions = frame_partitions(settings.frame_subjects, settings.shard, chosen.routes())
        self.nats = NatsConnection(settings, self.connectivity, lambda: self.counters.add("slow_consumer"))
        self.source = self._choose_source()
        self.active_configuration = ActiveConfiguration(ConfigurationStore(settings), chosen)
        self.memory_guard = MemoryGuard(settings.ingest_redis_full)
        self.server_probe = self._make_server_probe(chosen)
        self.foreign_keys = ForeignKeys(self.ledger, settings.shard.number, [*chosen.pools])
        self.paper_probe = PaperProbe(self.ledger, tuple(chosen.pools))
        self.checkpoints = Checkpoints(self.ledger, self.lanes, self.counters, self.refused, self.source)
        self.feed_watch = self._make_feed_watch(chosen.kinds)
        self.live_returns, self.unused_frames = LiveReturns(), UnusedFrames(settings.feed_quiet_s)
        self.record_probe = RecordProbe(self.ledger, chosen.routes(), self.feed_watch)
        self.sender = self._make_sender()
        self.breaker = Breaker(
            self.ledger, self.active_configuration, self.sender, tuple(chosen.pools), self.server_probe.errors.since
        )
        self.notice_listener = self._make_notice_listener()
        self.steps = StepRunner(self.connectivity, self.sender.refusals)
        self.symbols = KnownSymbols(self.ledger, self.lanes.router, settings.ingest_max_symbols)
        self.frame_handler = self._make_frame_handler(chosen.kinds)
        self.strays = StrayListener(self.nats, self.partitions, self.frame_handler.refuse)
        self.frame_stream = FrameStream(settings, self.nats.client, self.source)
        self.signal_streams = SignalStreams(settings, self.nats.client)
        self.findings = self._make_findings()
        self.health = self._make_health()
        self.verdicts = VerdictPublisher(settings, self.nats.client, self.findings, self.lifecycle)
        self.status_responder = self._make_status_responder()
        self.page = self._make_page()
        self.relays = self._make_relays()
        self.registry = self._make_registry()

    @property
    def subjects(self) -> Sequence[str]:
        """The subjects that are read."""
        return self.partitions.read if self.partitions else self.settings.frame_subjects.all

    @property
    def steps_at_first(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is asked of the first shard's ledger, where that is another one: it may fail while this one does not."""
        if not self.ledger.servers.has_other_first:
            return {}
        attempt = partial(self.server_probe.other_ledgers.attempt, FIRST)
        return {
            "configurations": partial(attempt, self.active_configuration.restore),
            "first_notices": partial(attempt, self.notice_listener.follow_first),
        }

    def _make_status_responder(self) -> StatusResponder:
        number, namespace = self.settings.shard.number, self.settings.namespace
        parts = (self.lanes, self.source, self.findings, self.feed_reports)
        return StatusResponder(number, *parts, namespace=namespace)

    def _make_server_probe(self, chosen: Configuration) -> ServerProbe:
        allows_eviction = self.settings.ingest_allow_eviction
        return ServerProbe(self.ledger, chosen.routes(), self.memory_guard, allows_eviction=allows_eviction)

    def _choose_source(self) -> Source:
        if self.settings.ingest_source == "core":
            return CoreSource(self.nats, ",".join(self.subjects))
        source = StreamSource(
            self.nats,
            self.settings,
            has_room=lambda: not self.lanes.full,
            lost=lambda count: self.counters.add("dropped", "expired", by=count),
        )
        if self.partitions:
            source.assign(self.subjects, self.lanes.pass_to)
        return source

    def _make_feed_watch(self, kinds: Collection[Kind]) -> FeedWatch:
        def is_listening() -> bool:
            """Return whether events can come: a stream is not read on while a lane is full."""
            is_held_up = self.source.keeps and bool(self.lanes.full)
            return self.lifecycle.started and self.connectivity.up["nats"] and not is_held_up

        def had_events() -> bool:
            return self.server_probe.had_events

        quiet_s, refuse = self.settings.feed_quiet_s, self.refused.implausible.note
        return FeedWatch(self.lanes.router.wants, is_listening, quiet_s, had_events, kinds, refuse)

    def _make_sender(self) -> Sender:
        def restart(counted: Counted) -> None:
            self.checkpoints.forget(counted)
            self.feed_watch.restart()
            self.live_returns.restart()

        return Sender(
            self.lanes,
            self.ledger,
            CeleryPublisher(self.ledger.servers.broker, self.settings.celery_prefix, f"ingest@{socket.gethostname()}"),
            self.counters,
            self.active_configuration,
            self.source,
            SenderConditions(
                self.settings.run_limit_s,
                self.server_probe.workforce,
                lambda: not self.memory_guard.full,
                restart,
                self.server_probe.held_pools,
            ),
        )

    def _make_notice_listener(self) -> NoticeListener:
        return NoticeListener(
            self.ledger,
            self.sender,
            self.breaker,
            self.active_configuration,
            self.connectivity,
            self.server_probe.ask_workers,
        )

    def _make_frame_handler(self, kinds: Iterable[Kind]) -> FrameHandler:
        def observe(event: AnyEvent) -> None:
            self.feed_watch.observe(event)
            self.live_returns.observe(event)

        limits = frame_limits(self.settings)
        return FrameHandler(
            self.lanes,
            self.counters,
            self.refused,
            self.sender.offer,
            observe,
            counts=self.partitions or self.settings.shard.number == 0,
            reader=CappedReader(self.symbols.cap, limits, kinds, self.partitions.refuse if self.partitions else None),
        )

    def _make_health(self) -> Health:
        parts = self.lifecycle, self.connectivity, self.lanes, self.server_probe, self.feed_watch
        return Health(*parts, self.findings)

    def _make_findings(self) -> Findings:
        """Return all checks. Findings that are logged in more detail elsewhere are not logged twice."""
        return Findings(
            self.sender.refusals.findings,
            self.ledger.confirmation.findings,
            self.ledger.damage.findings,
            self.foreign_keys.findings,
            lambda: late_lanes(self.lanes),
            self.server_probe.findings,
            self.breaker.findings,
            self.active_configuration.findings,
            lambda: self.feed_watch.findings(time.monotonic(), others_go_on=self._others("events")),
            lambda: () if self._others("applied") else self.unused_frames.findings(time.monotonic()),
            lambda: self.feed_reports.findings(time.monotonic()),
            self.refused.implausible.findings,
            self.frame_stream.findings,
            self.signal_streams.findings,
            logged_elsewhere=(self.lifecycle.findings, self.connectivity.findings, self.memory_guard.findings),
        )

    def _others(self, take: Literal["events", "applied"]) -> bool:
        """Whether shards that read other partitions get or use events, asked where this one does not."""
        if self.partitions is None or self.settings.shard.total == 1:
            return False
        return bool(self.server_probe.taken.since(time.monotonic() - OTHERS_S).of(take))

    def _make_page(self) -> Page:
        sources = PageSources(
            self.counters,
            self.lanes,
            self.server_probe,
            self.health.ready,
            self.feed_watch,
            self.unused_frames,
            lambda: self.active_configuration.gates,
            self.paper_probe,
            self.live_returns,
            _expected_returns(self.settings.expected_returns_file),
            has_api=self.api is not None,
        )
        state, reader, active = (
            PageState(self.settings, sources),
            LedgerReader(self.settings),
            self.active_configuration,
        )
        return Page(state, self.ledger, lambda: warm_ups(reader, active.configuration))

    def _make_relays(self) -> Relays:
        made = {
            number: Relay(self.settings, ledger, self.signal_streams, self.counters, self.page.state.relayed)
            for number, ledger in self.ledger.relayed()
        }
        return Relays(made, self.server_probe.other_ledgers.attempt_if_right)

    def _make_registry(self) -> CollectorRegistry:
        """Return the metrics of this process."""
        registry = CollectorRegistry()
        probes = Probes(self.server_probe, self.paper_probe)
        sources = self.counters, self.lanes, self.connectivity.up, probes, self.source
        registry.register(Exporter(*sources, self.feed_watch, self.findings))
        registry.register(BuildInfo("ingest"))
        return registry


def _expected_returns(file: str) -> Sequence[StrategyReturns]:
    """Return what a backtest found; nothing where no file is named. Raises SettingsError."""
    try:
        return strategy_returns.unpack(Path(file).read_bytes()) if file else ()
    except OSError as error:
        raise SettingsError(f"EXPECTED_RETURNS_FILE: can't read {file}: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise SettingsError(
            f"EXPECTED_RETURNS_FILE: {file} is not what a backtest wrote with --returns: {error}"
        ) from None


def _make_lanes(settings: Settings, chosen: Configuration, timeouts: TimeoutBounds) -> Lanes:
    limits = LaneLimits(settings.ingest_lane_bytes, settings.ingest_total_bytes, settings.ingest_max_wait_s)
    lossless = settings.ingest_source == "jetstream"
    router = Router(chosen.routes(), settings.shard, settings.nats_partitions)
    return Lanes(router, limits, lossless=lossless, timeouts=timeouts)
