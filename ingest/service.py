"""The ingest service, in four verbs: startup, main loop, shutdown, capture signals."""

import asyncio
import gc
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from nats.errors import Error as NatsError

from ingest.components import Components
from ingest.lanes.rtt_estimator import TIMEOUT_BOUNDS, TimeoutBounds
from ingest.monitoring.status_responder import MAX_WAITING, MAX_WAITING_BYTES
from ingest.monitoring.verdict_publisher import VERDICT_S
from tasks.clients.redis_client import FAILED
from tasks.errors import RealtimeStrategiesError, ServerUnavailableError
from tasks.event_loop import end, new_event_loop, on_signals
from tasks.ledger.lease import RENEW_S, STANDBY_S, NotLeadingError, SupersededError
from tasks.protocol.ingest_status import STATUS_SUBJECT
from tasks.settings import Settings
from tasks.telemetry import tracing
from tasks.telemetry.http_server import Address, serve
from tasks.telemetry.logs import configure_logging

TICK_S = 0.05
CHECKPOINT_S = 1.0
PROBE_SERVERS_S = 3.0
#: The accounts of thousands of symbols are a scan of as many fields.
PROBE_PAPER_S = 5.0
#: Only the workers, in one round trip: a death is known within a second of the time at which a heartbeat is too old.
PROBE_WORKERS_S = 1.0
#: With the time that an answer may take, a NATS that is silent is found within 7 s.
PROBE_S = 2.0
#: While new symbols are refused: whether there is room for them by now.
SYMBOLS_S = 10.0
RETRY_S = 0.2
log = structlog.get_logger()


class Service:
    """One ingest process."""

    def __init__(self, components: Components) -> None:
        """Take what it is made of; nothing is opened yet."""
        self.components = components
        settings = components.settings
        self._drain_s = settings.ingest_drain_s
        #: Of the shards, the first one relays, and tells of the paper accounts.
        self._is_first = settings.shard.number == 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._signal: signal.Signals | None = None
        #: What ended the work unasked; nothing may be written any more.
        self._failure: Exception | None = None
        self._nats_gone = False

    async def run(self) -> int:
        """Serve until a signal; return 0, or 1 when something was left undone."""
        with on_signals(self._on_signal):
            address, health = Address.of_ingest(self.components.settings), self.components.health
            api = self.components.api
            routes = [*self.components.page.routes, *(api.routes if api else ())]
            server, _ = serve(address, health.healthz, health.ready, self.components.registry, routes)
            self._tasks["page"] = asyncio.create_task(self.components.page.run())
            self._tasks["findings"] = asyncio.create_task(
                self.components.steps.every(CHECKPOINT_S, self.components.findings.watch)
            )
            self._tasks["probe"] = asyncio.create_task(self.components.steps.every(PROBE_S, self.components.nats.probe))
            self._tasks["keys"] = asyncio.create_task(
                self.components.steps.every(PROBE_SERVERS_S, self.components.foreign_keys.ask)
            )
            self._tasks["work"] = asyncio.create_task(self._until_stopped())
            await self._stop.wait()
            self.components.lifecycle.stop()
            status = 1 if self._failure else await self.shutdown() if self.components.lifecycle.started else 0
            await end(*self._tasks.values())
            server.stop()
            if api:
                api.close()
            await self.components.nats.close()
            await self.components.ledger.close()
            self.components.active_configuration.close()
        return 1 if self._failure or self._nats_gone else status

    async def _until_stopped(self) -> None:
        try:
            await self.startup()
            done, _ = await asyncio.wait(self._main_loop(), return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        except SupersededError as superseded:
            self._failure = superseded
            log.error("superseded: stopping", why=str(superseded))  # noqa: TRY400 one line, no traceback
        except ServerUnavailableError as gone:
            self._nats_gone = True
            log.error("NATS is gone: stopping", why=str(gone))  # noqa: TRY400 one line, no traceback
        except RealtimeStrategiesError as error:
            self._failure = error
            log.error("can't go on", why=str(error))  # noqa: TRY400 one line, no traceback
        except Exception as error:
            self._failure = error
            log.exception("unexpected error: stopping")
        finally:
            self._stop.set()

    def _on_signal(self, received: signal.Signals) -> None:
        if self._signal is not None:
            log.warning("second signal: not waiting any longer")
            self._drain_s = 0.0
        self._signal = received
        self._stop.set()

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended it."""
        return self._signal

    # Startup and main loop

    async def startup(self) -> None:
        """Wait for Redis, NATS and the lead; start an epoch, and only then let frames in."""
        while not await self.components.steps.run(self._reach_redis):
            await asyncio.sleep(STANDBY_S)
        await self.components.nats.connect()
        while not await self.components.steps.run(self._lead):
            await asyncio.sleep(STANDBY_S)
        while not await self.components.steps.run(self.components.symbols.load):
            await asyncio.sleep(STANDBY_S)
        await self.components.nats.client.subscribe(
            STATUS_SUBJECT,
            cb=self.components.status_responder.answer,
            pending_msgs_limit=MAX_WAITING,
            pending_bytes_limit=MAX_WAITING_BYTES,
        )
        await self.components.source.open(self.components.frame_handler.deliver)
        await self.components.strays.open()
        self.components.lifecycle.start()
        subjects, lanes = ",".join(self.components.subjects), len(list(self.components.lanes))
        log.info("ingest is up", subjects=subjects, lanes=lanes)

    async def _reach_redis(self) -> bool:
        await self.components.ledger.client.ping()
        await self.components.server_probe.check_servers()
        self.components.connectivity.back("redis")
        return True

    async def _lead(self) -> bool:
        lease, lifecycle = self.components.ledger.lease, self.components.lifecycle
        if not lease.held and not await lease.take():
            self.components.connectivity.back("redis")
            if not lifecycle.standing_by:
                log.info(
                    "standing by: another ingest process leads this shard", shard=str(self.components.settings.shard)
                )
            lifecycle.stand_by()
            return False
        await self.components.source.prepare()
        await self.components.sender.begin()
        lifecycle.lead()
        self.components.connectivity.back("redis")
        return True

    def _main_loop(self) -> list[asyncio.Task[None]]:
        """Start what runs until the end. None of these ends by itself."""
        steps: dict[str, tuple[float, Callable[[], Awaitable[None]]]] = {
            "heartbeat": (TICK_S, self.components.health.beat),
            "tick": (TICK_S, self.components.sender.poll),
            "checkpoint": (CHECKPOINT_S, self._write_checkpoint),
            "notices": (RETRY_S, self.components.notice_listener.follow),
            "source": (TICK_S, self._poll_source),
            "configurations": (CHECKPOINT_S, self.components.active_configuration.restore),
            "lease": (RENEW_S, self.components.ledger.lease.renew),
            "nats": (RETRY_S, self.components.nats.watch),
            "breaker": (CHECKPOINT_S, self.components.breaker.poll),
            "server_probe": (PROBE_SERVERS_S, self.components.server_probe.ask),
            "frame_stream": (PROBE_SERVERS_S, self.components.frame_stream.ask),
            "symbols": (SYMBOLS_S, self.components.symbols.poll),
            "record_probe": (PROBE_SERVERS_S, self.components.record_probe.ask),
            "worker_probe": (PROBE_WORKERS_S, self.components.server_probe.ask_workers),
        }
        steps |= {name: (CHECKPOINT_S, step) for name, step in self.components.steps_at_first.items()}
        if self._is_first:
            steps |= {name: (RETRY_S, step) for name, step in self.components.relays.steps.items()}
            steps["signal_streams"] = (PROBE_SERVERS_S, self.components.signal_streams.ask)
            steps["paper_probe"] = (PROBE_PAPER_S, self.components.paper_probe.ask)
        if self.components.verdicts.is_wanted:
            steps["verdicts"] = (VERDICT_S, self.components.verdicts.publish)
        loops = {
            name: asyncio.create_task(self.components.steps.every(*step), name=name) for name, step in steps.items()
        }
        self._tasks |= loops
        return list(loops.values())

    async def _poll_source(self) -> None:
        await self.components.source.poll()
        # First what it gave is worked off and counted: it need not be there to be read again.
        if self.components.source.outdated and not self.components.lanes.held:
            await self._write_all_checkpoints()
            await self.components.sender.begin()

    async def _write_checkpoint(self) -> None:
        """Write a checkpoint; where the ledger is not as we know it, see why. Raises SupersededError."""
        if not await self.components.checkpoints.write(self.components.sender.epoch):
            await self.components.sender.poll(all_lanes=True)
        self.components.connectivity.back("redis")

    async def _write_all_checkpoints(self) -> None:
        while self.components.checkpoints.left:
            await self._write_checkpoint()

    # Shutdown

    async def shutdown(self) -> int:
        """Close the source, wait a bounded time for commits and the relay; return 1 when something is left."""
        log.info("stopping", signal=self._signal.name if self._signal else "", held=self.components.lanes.held)
        started_s = time.monotonic()
        closing = asyncio.create_task(self.components.source.close())
        # A second signal may end the wait, a commit may, or its time: so it looks again and again.
        while not closing.done() and time.monotonic() - started_s < max(self._drain_s, 0.1):
            await asyncio.sleep(0.01)
        await end(closing)
        while self.components.lanes.held and not self._failure and time.monotonic() - started_s < self._drain_s:
            await asyncio.sleep(0.01)
        left = self.components.lanes.held
        if left and not self.components.source.keeps:
            self.components.counters.add("dropped", "stop", by=left)
        signals_left = not await self._drain_relay(self._drain_s - (time.monotonic() - started_s))
        uncounted = not await self._write_last_checkpoint()
        unread = self.components.source.left
        is_left = bool(left or unread != 0 or signals_left or uncounted)
        if is_left:
            log.error(
                "stopped with work left",
                events=left,
                unread=self._not_known if unread is None else unread,
                signals_not_relayed=signals_left,
                counts_not_written=uncounted,
            )
        else:
            totals = self.components.counters.totals
            log.info("stopped", frames=totals.of("frames"), relayed=totals.of("relayed"))
        return int(is_left)

    @property
    def _not_known(self) -> str:
        is_up = self.components.connectivity.up["nats"]
        return f"not known: {'the stream does not answer' if is_up else 'NATS is unavailable'}"

    async def _write_last_checkpoint(self) -> bool:
        await end(self._tasks["checkpoint"])
        try:
            await self._write_all_checkpoints()
        except (*FAILED, SupersededError):
            return False
        return True

    async def _drain_relay(self, time_left_s: float) -> bool:
        if not self._is_first:
            return True
        relays = self.components.relays
        await end(*(self._tasks[name] for name in relays.steps))
        try:
            # Signals that are committed get a moment, even when the events took all the time there was.
            async with asyncio.timeout(max(time_left_s, 1.0)):
                while True:
                    with suppress(NatsError):
                        drained = await relays.drain()
                        if drained or not relays.waits_for_streams:
                            return drained
                    await asyncio.sleep(RETRY_S)
        except (*FAILED, NotLeadingError):
            return False


def run(settings: Settings, timeouts: TimeoutBounds = TIMEOUT_BOUNDS) -> int:
    """Run the service; the exit status, unless a signal ended it cleanly: then that signal ends the process."""
    configure_logging(settings, "ingest")
    tracing.start("ingest")

    async def main() -> tuple[int, signal.Signals | None]:
        service = Service(Components(settings, timeouts))
        # What is there by now stays. Without this, a full collection looks through it again and again, for 50 ms.
        gc.freeze()
        return await service.run(), service.signal

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            status, received = runner.run(main())
    except RealtimeStrategiesError as error:
        log.error("can't start", why=str(error))  # noqa: TRY400 one line, no traceback
        return 1
    finally:
        tracing.stop()
    if status == 0 and received is not None:
        signal.signal(received, signal.SIG_DFL)
        signal.raise_signal(received)
    return status
