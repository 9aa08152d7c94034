"""A simulated ingest process: the real service, lanes, sender, source, checkpoints and relay, and nothing around them."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

from ingest.connectivity import Connectivity
from ingest.counters import Counters
from ingest.dispatch.active_configuration import ActiveConfiguration
from ingest.dispatch.celery_publisher import CeleryPublisher
from ingest.dispatch.checkpoints import Checkpoints
from ingest.dispatch.conditions import SenderConditions
from ingest.dispatch.notice_listener import NoticeListener
from ingest.dispatch.sender import Sender
from ingest.frame_handler import FrameHandler
from ingest.lanes import LaneLimits, Lanes
from ingest.lanes.frame_partitions import frame_partitions
from ingest.lanes.task_packing import Workforce
from ingest.ledger import IngestLedger
from ingest.monitoring.lifecycle import Lifecycle
from ingest.refused_frames import RefusedFrames
from ingest.relay import Relay, Relays, SignalStreams
from ingest.service import CHECKPOINT_S, RETRY_S, Service
from ingest.sources.base import Source
from ingest.sources.jetstream import StreamSource
from ingest.sources.pull import Pacing
from ingest.steps import StepRunner
from tasks.errors import RealtimeStrategiesError
from tasks.frames.plausibility import FrameReader
from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.lease import RENEW_S
from tasks.protocol.routing import Router, Shard
from tasks.settings import Settings
from tests.simulation import workload
from tests.simulation.servers.core_source import SimulatedCore
from tests.simulation.servers.nats_client import NatsClient, StreamReader
from tests.simulation.servers.redis_client import AsyncClient, BlockingClient, RedisLink

#: Ticks are rarer than the real ones, because each costs the simulation as much as a batch.
TICK_S = 0.25
#: How often ingest asks which workers there are, where that changes.
PROBE_WORKERS_S = 1.0
#: How long a run may take.
RUN_LIMIT_S = 2.0


@cache
def settings(mode: str, shard: Shard, frame_partitions: int = 0) -> Settings:
    """Return the settings of a shard."""
    # What this machine's environment says of a pipeline is not meant.
    with mock.patch.dict(os.environ, clear=True):
        return Settings(
            ingest_source=mode,
            ingest_shard=str(shard),
            nats_partitions=frame_partitions,
            signal_max_age_s=0,
            ingest_start="first",
        )


class FixedConfiguration:
    """One configuration, always in force."""

    configuration = workload.configuration()
    version = configuration.version

    async def refresh(self) -> None:
        """Do nothing: it never changes."""

    restore = refresh


def active_configuration(chosen: Settings, link: RedisLink) -> ActiveConfiguration:
    """Return the one that may change."""
    store = ConfigurationStore(chosen, lambda *_, **__: BlockingClient.over(link))
    return ActiveConfiguration(store, workload.configuration())


class KnownWorkers:
    """What one ingest process knows of the workers."""

    def __init__(self, ask: Callable[[], Workforce | None]) -> None:
        """`ask` returns the workers; None: nobody knows them."""
        self._ask = ask
        self.workforce = ask()

    async def ask(self) -> None:
        """Find out which workers there are now."""
        self.workforce = self._ask()


class SimulatedIngest(Service):
    """One ingest process."""

    def __init__(
        self,
        chosen: Settings,
        partitions: int,
        redis: AsyncClient,
        nats: NatsClient,
        workers: KnownWorkers,
        configuration: ActiveConfiguration | FixedConfiguration,
        log: Callable[[str], None],
        *,
        probes_workers: bool,
    ) -> None:
        super().__init__(_components(chosen, partitions, redis, nats, workers, configuration))
        self._log, self._nats = log, nats
        self._probe = {"worker_probe": (PROBE_WORKERS_S, workers.ask)} if probes_workers else {}

    async def run(self) -> int:
        """Lead or stand by, until something ends it; then its supervisor starts it again."""
        watching = asyncio.ensure_future(self._nats.watch())
        try:
            await self.startup()
            self._log(f"leads epoch {self.components.sender.epoch}")
            done, _ = await asyncio.wait(self._main_loop(), return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        except RealtimeStrategiesError as error:
            self._log(f"ends: {error}")
            for task in [watching, *self._tasks.values()]:
                task.cancel()
            await self.components.ledger.close()
        return 1

    def _main_loop(self) -> list[asyncio.Task[None]]:
        components = self.components
        steps: dict[str, tuple[float, Callable[[], Awaitable[None]]]] = {
            "tick": (TICK_S, components.sender.poll),
            "checkpoint": (CHECKPOINT_S, self._write_checkpoint),
            "notices": (RETRY_S, components.notice_listener.follow),
            "source": (TICK_S, self._poll_source),
            "lease": (RENEW_S, components.ledger.lease.renew),
            **self._probe,
        }
        if isinstance(components.active_configuration, ActiveConfiguration):
            steps["configurations"] = (CHECKPOINT_S, components.active_configuration.restore)
        if self._is_first:
            steps |= {name: (RETRY_S, step) for name, step in components.relays.steps.items()}
            steps["signal_streams"] = (CHECKPOINT_S, components.signal_streams.ask)
        self._tasks |= {name: asyncio.create_task(components.steps.every(*step)) for name, step in steps.items()}
        return list(self._tasks.values())


def _components(
    chosen: Settings,
    partitions: int,
    redis: AsyncClient,
    nats: NatsClient,
    workers: KnownWorkers,
    configuration: ActiveConfiguration | FixedConfiguration,
) -> Any:
    it = SimpleNamespace(settings=chosen, lifecycle=Lifecycle(), counters=Counters(), nats=_HeldConnection(nats))
    it.connectivity = Connectivity({"nats": "", "redis": ""})
    it.refused = RefusedFrames(it.counters)
    pools, limits = workload.pools(partitions), LaneLimits(10**6, 10**6)
    router, parts = (
        Router(pools, chosen.shard, chosen.nats_partitions),
        frame_partitions(chosen.frame_subjects, chosen.shard, pools),
    )
    it.strays, it.subjects = SimpleNamespace(open=_nothing), parts.read if parts else chosen.frame_subjects.all
    it.lanes = Lanes(router, limits, lossless=chosen.ingest_source == "jetstream")
    it.source = _source(chosen, it.nats, it.lanes, it.subjects)
    it.ledger = IngestLedger(chosen, lambda *_, **__: redis)
    it.active_configuration = configuration
    it.checkpoints = Checkpoints(it.ledger, it.lanes, it.counters, it.refused, it.source)
    it.sender = Sender(
        it.lanes, it.ledger, CeleryPublisher(it.ledger.servers.broker, chosen.celery_prefix, "ingest"), it.counters,
        it.active_configuration, it.source,
        SenderConditions(RUN_LIMIT_S, lambda: workers.workforce, on_restart=it.checkpoints.forget),
    )  # fmt: skip
    it.steps = StepRunner(it.connectivity, it.sender.refusals)
    it.frame_handler = FrameHandler(
        it.lanes, it.counters, it.refused, it.sender.offer, lambda _: None, counts=parts or chosen.shard.number == 0,
        reader=FrameReader(misplaced=parts.refuse if parts else None),
    )  # fmt: skip
    _add_bystanders(it, nats, workers)
    return it


def _source(chosen: Settings, nats: "_HeldConnection", lanes: Lanes, subjects: Sequence[str]) -> Source:
    if chosen.ingest_source == "core":
        return SimulatedCore(nats.client, subjects)
    consumer: Any = StreamReader
    held: Any = nats
    source = StreamSource(
        held, chosen, lambda: not lanes.full, lambda _: None, Pacing(batch=16), make_consumer=consumer
    )
    if chosen.nats_partitions:
        source.assign(subjects, lanes.pass_to)
    return source


def _add_bystanders(it: SimpleNamespace, nats: Any, workers: KnownWorkers) -> None:
    """Add what follows the others, and in place of what is not simulated something that does nothing."""
    breaker: Any = SimpleNamespace(on_notice=_nothing)
    it.notice_listener = NoticeListener(
        it.ledger, it.sender, breaker, it.active_configuration, it.connectivity, workers.ask
    )
    it.symbols = SimpleNamespace(load=_true)
    it.server_probe = SimpleNamespace(check_servers=_nothing)
    it.status_responder = SimpleNamespace(answer=_nothing)
    it.signal_streams = SignalStreams(it.settings, nats)
    relay = Relay(
        it.settings, it.ledger, it.signal_streams, it.counters, lambda *_: None, trim_interval_s=3.0, answer_s=1.0
    )
    it.relays = Relays({0: relay}, _nothing)


class _HeldConnection:
    """The holder of a connection that stands."""

    def __init__(self, client: NatsClient) -> None:
        self.client = client

    async def connect(self) -> None:
        """Do nothing: it is connected."""


async def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


async def _true() -> bool:
    return True


def shards(total: int) -> Sequence[Shard]:
    """Return all shards."""
    return [Shard(number, total) for number in range(total)]
