"""The ingest service, in four verbs: startup, main loop, shutdown, capture signals."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import redis
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry

from ingest.checkpoints import Checkpoints
from ingest.dispatcher import Dispatcher
from ingest.exporter import Exporter
from ingest.health import Health
from ingest.inforce import InForce
from ingest.intake import Intake
from ingest.lanes import Bounds, Lanes
from ingest.ledger import IngestLedger, SupersededError
from ingest.loops import end, new_event_loop
from ingest.parts import Parts
from ingest.relay import Relay
from ingest.sender import Sender
from ingest.source import CoreSource, Nats
from ingest.status import STATUS_SUBJECT, Status, encode
from ingest.surroundings import Surroundings
from ingest.tally import Tally
from tasks.changes import read_file
from tasks.endpoints import Address, serve
from tasks.errors import RealtimeStrategiesError, ServerAwayError
from tasks.ledger import CONFIGURATION_NOTICE
from tasks.routing import Router
from tasks.settings import Settings, mask
from tasks.telemetry import configure_logging

TICK_S = 0.05
CHECKPOINT_S = 1.0
SURROUNDINGS_S = 5.0
RETRY_S = 0.2
AWAY = (redis.RedisError, OSError, TimeoutError)
log = structlog.get_logger()


class Service:
    """One ingest process."""

    def __init__(self, settings: Settings) -> None:
        """Put the parts together; nothing is opened yet. Raises SettingsError for a bad strategies file."""
        self._settings = settings
        self._drain_s = settings.ingest_drain_s
        chosen = read_file(settings.strategies_file)
        self._parts = Parts({"nats": mask(settings.nats_url), "redis": mask(settings.ledger)})
        self._tally = Tally()
        self._lanes = Lanes(Router(chosen.routes()), Bounds(settings.ingest_lane_bytes, settings.ingest_total_bytes))
        self._ledger = IngestLedger(settings)
        self._dispatcher = Dispatcher()
        self._in_force = InForce(settings, chosen)
        self._sender = Sender(
            self._lanes, self._ledger, self._dispatcher, self._tally, self._in_force, settings.run_limit_s
        )
        self._intake = Intake(self._lanes, self._tally, self._sender.offer)
        self._checkpoints = Checkpoints(self._ledger, self._sender, self._lanes, self._intake, self._tally)
        self._nats = Nats(settings, self._parts, lambda: self._tally.add("slow_consumer"))
        self._source = CoreSource(self._nats, settings.nats_subjects)
        self._relay = Relay(settings, self._ledger.client, self._nats.client, self._tally)
        self._surroundings = Surroundings(self._ledger, chosen.pools)
        self._health = Health(self._parts, self._lanes, self._surroundings)
        self._registry = CollectorRegistry()
        self._registry.register(Exporter(self._tally, self._lanes, self._parts.up, self._surroundings))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._signal: signal.Signals | None = None
        #: What ended the work unasked; nothing may be written any more.
        self._failure: Exception | None = None
        self._nats_gone = False

    async def run(self) -> int:
        """Serve until a signal; return 0, or 1 when something was left undone."""
        with self._capture_signals():
            address = Address.of_ingest(self._settings)
            server, self._health.port = serve(address, self._health.healthz, self._health.ready, self._registry)
            self._tasks["work"] = asyncio.create_task(self._until_stopped())
            await self._stop.wait()
            self._health.stopping = True
            status = 1 if self._failure else await self.shutdown() if self._health.started else 0
            await end(*self._tasks.values())
            server.stop()
            self._dispatcher.close()
            await self._nats.close()
            await self._ledger.close()
        return 1 if self._failure or self._nats_gone else status

    async def _until_stopped(self) -> None:
        try:
            await self.startup()
            done, _ = await asyncio.wait(self._main_loop(), return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        except SupersededError as superseded:
            self._failure = superseded
            log.error("superseded: stopping", why=str(superseded))  # noqa: TRY400 one line, no traceback
        except ServerAwayError as gone:
            self._nats_gone = True
            log.error("NATS is gone: stopping", why=str(gone))  # noqa: TRY400 one line, no traceback
        except RealtimeStrategiesError as error:
            self._failure = error
            log.error("can't go on", why=str(error))  # noqa: TRY400 one line, no traceback
        except Exception as error:
            self._failure = error
            log.exception("a fault of ours: stopping")
        finally:
            self._stop.set()

    @contextmanager
    def _capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._on_signal, each)
        yield
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)

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
        """Wait for Redis and NATS, start an epoch, and only then let frames in."""
        await self._with_redis(self._begin)
        while not self._parts.up["redis"]:
            await asyncio.sleep(0.5)
            await self._with_redis(self._begin)
        await self._nats.connect()
        await self._nats.client.subscribe(STATUS_SUBJECT, cb=self._answer_status)
        await self._source.open(self._intake.deliver)
        self._health.started = True
        log.info("ingest is up", subjects=self._settings.nats_subjects, lanes=len(list(self._lanes)))

    async def _begin(self) -> None:
        await self._sender.begin()
        self._parts.back("redis")

    def _main_loop(self) -> list[asyncio.Task[None]]:
        """Start what runs until the end. None of these ends by itself."""
        steps: dict[str, tuple[float, Callable[[], Awaitable[None]]]] = {
            "heartbeat": (TICK_S, self._health.beat),
            "tick": (TICK_S, self._sender.look),
            "checkpoint": (CHECKPOINT_S, self._write_checkpoint),
            "notices": (RETRY_S, self._listen),
            "relay": (RETRY_S, self._relay.run),
            "nats": (RETRY_S, self._nats.watch),
            "surroundings": (SURROUNDINGS_S, self._surroundings.ask),
        }
        loops = {name: asyncio.create_task(self._every(*step), name=name) for name, step in steps.items()}
        self._tasks |= loops
        return list(loops.values())

    async def _every(self, interval_s: float, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._with_redis(step)
            await asyncio.sleep(interval_s)

    async def _with_redis(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except NatsError as error:  # first, because some of these are a TimeoutError too
            log.debug("NATS refused", why=str(error))
        except AWAY as error:
            self._parts.lost("redis", str(error) or type(error).__name__)

    async def _listen(self) -> None:
        """Follow the notices. Any may have been missed before this connection stood, so look at all lanes first."""
        pubsub = await self._ledger.subscribe()
        try:
            await self._in_force.refresh()
            await self._sender.look(everywhere=True)
            self._parts.back("redis")
            while True:
                message = await pubsub.get_message(timeout=1.0)
                if message is not None:
                    await self._on_notice(message["data"].decode(errors="replace"))
        finally:
            with suppress(*AWAY):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _on_notice(self, text: str) -> None:
        if text == CONFIGURATION_NOTICE:
            await self._in_force.refresh()
        else:
            self._sender.on_notice(text)

    async def _write_checkpoint(self) -> None:
        await self._checkpoints.write()
        self._parts.back("redis")

    # Shutdown

    async def shutdown(self) -> int:
        """Close the source, wait a bounded time for commits and the relay; return 1 when something is left."""
        log.info("stopping", signal=self._signal.name if self._signal else "", held=self._lanes.held)
        started_s = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self._drain_s, 0.1)):
                await self._source.close()
        # A second signal may end the wait, a commit may, or its time: so it looks again and again.
        while self._lanes.held and not self._failure and time.monotonic() - started_s < self._drain_s:
            await asyncio.sleep(0.01)
        left = self._lanes.held
        if left:
            self._tally.add("dropped:stop", left)
        signals_left = not await self._drain_relay(self._drain_s - (time.monotonic() - started_s))
        uncounted = not await self._write_last_checkpoint()
        if left or signals_left or uncounted:
            log.error(
                "stopped with work left", events=left, signals_not_relayed=signals_left, counts_not_written=uncounted
            )
        else:
            log.info("stopped", frames=self._tally.totals["frames"], relayed=self._tally.totals["relayed"])
        return int(bool(left or signals_left or uncounted))

    async def _write_last_checkpoint(self) -> bool:
        await end(self._tasks["checkpoint"])
        try:
            while self._checkpoints.left:
                await self._checkpoints.write()
        except (*AWAY, SupersededError):
            return False
        return True

    async def _drain_relay(self, time_left_s: float) -> bool:
        await end(self._tasks["relay"])
        try:
            # Signals that are committed get a moment, even when the events took all the time there was.
            async with asyncio.timeout(max(time_left_s, 1.0)):
                await self._relay.drain()
        except (*AWAY, NatsError):
            return False
        return True

    # What others ask

    async def _answer_status(self, message: Msg) -> None:
        held = self._source.pending + max(lane.held for lane in self._lanes)
        await message.respond(encode(Status(self._lanes.held_bytes, self._settings.ingest_total_bytes, held)))


def run(settings: Settings) -> int:
    """Run the service; the exit status, unless a signal ended it cleanly: then that signal ends the process."""
    configure_logging(settings)

    async def main() -> tuple[int, signal.Signals | None]:
        service = Service(settings)
        return await service.run(), service.signal

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            status, received = runner.run(main())
    except RealtimeStrategiesError as error:
        log.error("can't start", why=str(error))  # noqa: TRY400 one line, no traceback
        return 1
    if status == 0 and received is not None:
        signal.signal(received, signal.SIG_DFL)
        signal.raise_signal(received)
    return status
