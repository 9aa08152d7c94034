"""The parts of one ingest process, put together. Nothing is opened here."""

import socket
import time

from prometheus_client import CollectorRegistry

from ingest.connectivity import Connectivity
from ingest.counters import Counters
from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.breaker import Breaker
from ingest.dispatch.celery_publisher import Dispatcher
from ingest.dispatch.checkpoints import Checkpoints
from ingest.dispatch.sender import Sender
from ingest.frame_handler import FrameHandler
from ingest.lanes import Bounds, Lanes
from ingest.ledger import IngestLedger
from ingest.monitoring.exporter import Exporter
from ingest.monitoring.feed_reports import FeedReports
from ingest.monitoring.feed_watch import FeedWatch
from ingest.monitoring.findings import Findings
from ingest.monitoring.health import Health
from ingest.monitoring.memory_guard import MemoryGuard
from ingest.monitoring.server_stats import ServerProbe
from ingest.monitoring.unused_frames import UnusedFrames
from ingest.page.http import Page
from ingest.page.page_state import PageState, Sources
from ingest.relay import Relay
from ingest.sources.base import Source
from ingest.sources.core import CoreSource
from ingest.sources.jetstream import StreamSource
from ingest.transport.connection import Nats
from tasks.configuration import Configuration
from tasks.ledger.configurations import read_file
from tasks.protocol.plausibility import Limits
from tasks.protocol.routing import Router
from tasks.settings import Settings, mask
from tasks.telemetry.build_info import BuildInfo


class Components:
    """What a service is made of."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError for a bad strategies file."""
        self._settings = settings
        chosen = read_file(settings.strategies_file)
        self._parts = Connectivity({"nats": mask(settings.nats_url), "redis": mask(settings.ledger)})
        self._tally, self._findings, self._feeds = Counters(), Findings(), FeedReports()
        self._lanes = self._make_lanes(chosen)
        self._nats = Nats(settings, self._parts, lambda: self._tally.add("slow_consumer"))
        self._source = self._choose_source()
        self._ledger, self._in_force = IngestLedger(settings), ActiveConfiguration(settings, chosen)
        self._sender = self._make_sender()
        brake = self._make_brake()
        self._surroundings = ServerProbe(self._ledger, chosen.pools, brake)
        self._sender.crew = self._surroundings.crew
        self._breaker = Breaker(
            self._ledger, self._in_force, self._sender, tuple(chosen.pools), self._surroundings.errors.since
        )
        self._feed = FeedWatch(self._lanes.router.wants, self._is_listening, settings.feed_quiet_s, self._had_events)
        unused = UnusedFrames(settings.feed_quiet_s)
        self._health = Health(self._parts, self._lanes, self._surroundings, self._feed, self._findings)
        self._intake = self._make_intake()
        self._checkpoints = Checkpoints(
            self._ledger, self._sender, self._lanes, self._intake, self._tally, self._source
        )
        self._sender.on_restart = self._on_restart
        self._add_checks(brake, unused)
        sources = self._tally, self._lanes, self._surroundings, self._health.ready, self._feed, unused, self._strategies
        live = PageState(settings, Sources(*sources))
        self._page = Page(live, self._ledger)
        self._relay = Relay(settings, self._ledger, self._nats.client, self._tally, live.relayed)
        self._registry = self._make_registry()

    def _make_lanes(self, chosen: Configuration) -> Lanes:
        own = self._settings
        bounds = Bounds(own.ingest_lane_bytes, own.ingest_total_bytes, own.ingest_max_wait_s)
        return Lanes(Router(chosen.routes(), own.shard), bounds, lossless=own.ingest_source == "jetstream")

    def _make_sender(self) -> Sender:
        return Sender(
            self._lanes,
            self._ledger,
            Dispatcher(self._ledger.broker, self._settings.celery_prefix, f"ingest@{socket.gethostname()}"),
            self._tally,
            self._in_force,
            self._source,
            self._settings.run_limit_s,
        )

    def _make_brake(self) -> MemoryGuard:
        """Return what holds the sender while Redis is nearly full."""
        brake = MemoryGuard(self._settings.ingest_redis_full)
        brake.on_release, self._sender.may_send = self._sender.pump, lambda: not brake.full
        return brake

    def _make_intake(self) -> FrameHandler:
        return FrameHandler(
            self._lanes,
            self._tally,
            self._sender.offer,
            self._feed.observe,
            counts=self._settings.shard.number == 0,
            limits=Limits(self._settings.max_clock_lead_s, self._settings.max_book_jump),
        )

    def _make_registry(self) -> CollectorRegistry:
        """Return the metrics of this process."""
        registry = CollectorRegistry()
        sources = self._tally, self._lanes, self._parts.up, self._surroundings, self._source
        registry.register(Exporter(*sources, self._feed, self._findings))
        registry.register(BuildInfo("ingest"))
        return registry

    def _on_restart(self, counted: int) -> None:
        self._checkpoints.forget(counted)
        self._feed.restart()

    def _strategies(self) -> list[str]:
        return self._in_force.strategies

    def _had_events(self) -> bool:
        return self._surroundings.had_events

    def _is_listening(self) -> bool:
        """Whether events can come: a stream is not read on while a lane is full."""
        return self._health.started and self._parts.up["nats"] and not (self._source.keeps and self._lanes.full)

    def _add_checks(self, brake: MemoryGuard, unused: UnusedFrames) -> None:
        """Name all that can find something wrong. What the log is told of in more detail is not logged twice."""
        self._findings.add(self._health.phase, logs=False)
        self._findings.add(self._parts.findings, logs=False)
        self._findings.add(brake.findings, logs=False)
        self._findings.add(self._sender.refusals.findings)
        self._findings.add(self._health.waiting)
        self._findings.add(self._surroundings.findings)
        self._findings.add(self._breaker.findings)
        self._findings.add(self._in_force.findings)
        self._findings.add(lambda: self._feed.findings(time.monotonic()))
        self._findings.add(lambda: unused.findings(time.monotonic()))
        self._findings.add(lambda: self._feeds.findings(time.monotonic()))
        self._findings.add(self._intake.implausible.findings)

    def _choose_source(self) -> Source:
        if self._settings.ingest_source == "core":
            return CoreSource(self._nats, self._settings.nats_subjects)
        return StreamSource(
            self._nats,
            self._settings,
            has_room=lambda: not self._lanes.full,
            lost=lambda count: self._tally.add("dropped", "expired", by=count),
        )
