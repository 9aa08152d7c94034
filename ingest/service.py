"""The ingest service, in four verbs: startup, main loop, shutdown, capture signals."""

import asyncio
import gc
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import redis
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from ingest.components import Components
from ingest.event_loop import end, new_event_loop, on_signals
from ingest.ledger.lease import RENEW_S, STANDBY_S, NotLeadingError, SupersededError
from tasks.clients.redis_client import reason
from tasks.errors import RealtimeStrategiesError, ServerUnavailableError
from tasks.protocol import feed_report
from tasks.protocol.ingest_status import EACH_SHARD, STATUS_SUBJECT, Status, encode
from tasks.protocol.notice import CONFIGURATION_NOTICE
from tasks.protocol.strikes import NOTICE as STRIKE_NOTICE
from tasks.settings import Settings
from tasks.telemetry import tracing
from tasks.telemetry.http_server import Address, serve
from tasks.telemetry.logs import configure_logging

TICK_S = 0.05
CHECKPOINT_S = 1.0
PROBE_SERVERS_S = 3.0
#: With the time that an answer may take, a NATS that is silent is found within 7 s.
PROBE_S = 2.0
RETRY_S = 0.2
AWAY = (redis.RedisError, OSError, TimeoutError)
T = TypeVar("T")
log = structlog.get_logger()


class Service(Components):
    """One ingest process."""

    def __init__(self, settings: Settings) -> None:
        """Put the parts together; nothing is opened yet. Raises SettingsError for a bad strategies file."""
        super().__init__(settings)
        self._drain_s = settings.ingest_drain_s
        #: Of the shards, the first one relays, and answers for how full ingest is.
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
            address = Address.of_ingest(self._settings)
            probes = self._health.healthz, self._health.ready
            server, self._health.port = serve(address, *probes, self._registry, self._page.routes)
            self._tasks["page"] = asyncio.create_task(self._page.run())
            self._tasks["findings"] = asyncio.create_task(self._every(CHECKPOINT_S, self._findings.watch))
            self._tasks["probe"] = asyncio.create_task(self._every(PROBE_S, self._nats.probe))
            self._tasks["work"] = asyncio.create_task(self._until_stopped())
            await self._stop.wait()
            self._health.stopping = True
            status = 1 if self._failure else await self.shutdown() if self._health.started else 0
            await end(*self._tasks.values())
            server.stop()
            await self._nats.close()
            await self._ledger.close()
            self._in_force.close()
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
            log.exception("a fault of ours: stopping")
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
        while not await self._with_redis(self._reach_redis):
            await asyncio.sleep(STANDBY_S)
        await self._nats.connect()
        while not await self._with_redis(self._lead):
            await asyncio.sleep(STANDBY_S)
        await self._nats.client.subscribe(STATUS_SUBJECT, cb=self._answer_status)
        await self._source.open(self._intake.deliver)
        self._health.started = True
        log.info("ingest is up", subjects=self._settings.nats_subjects, lanes=len(list(self._lanes)))

    async def _reach_redis(self) -> bool:
        await self._ledger.client.ping()
        self._parts.back("redis")
        return True

    async def _lead(self) -> bool:
        lease = self._ledger.lease
        if not lease.held and not await lease.take():
            self._parts.back("redis")
            if not self._health.standing_by:
                log.info("standing by: another ingest process leads this shard", shard=str(self._settings.shard))
            self._health.standing_by = True
            return False
        await self._source.prepare()
        await self._sender.begin()
        self._health.standing_by = False
        self._parts.back("redis")
        return True

    def _main_loop(self) -> list[asyncio.Task[None]]:
        """Start what runs until the end. None of these ends by itself."""
        steps: dict[str, tuple[float, Callable[[], Awaitable[None]]]] = {
            "heartbeat": (TICK_S, self._health.beat),
            "tick": (TICK_S, self._sender.poll),
            "checkpoint": (CHECKPOINT_S, self._write_checkpoint),
            "notices": (RETRY_S, self._listen),
            "source": (TICK_S, self._look_at_source),
            "lease": (RENEW_S, self._ledger.lease.renew),
            "nats": (RETRY_S, self._nats.watch),
            "breaker": (CHECKPOINT_S, self._breaker.poll),
            "surroundings": (PROBE_SERVERS_S, self._surroundings.ask),
        }
        if self._is_first:
            steps["relay"] = (RETRY_S, self._relay.run)
        loops = {name: asyncio.create_task(self._every(*step), name=name) for name, step in steps.items()}
        self._tasks |= loops
        return list(loops.values())

    async def _look_at_source(self) -> None:
        await self._source.poll()
        # First what it gave is worked off and counted: it need not be there to be read again.
        if self._source.outdated and not self._lanes.held:
            await self._checkpoints.write_all()
            await self._sender.begin()

    async def _every(self, interval_s: float, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._with_redis(step)
            await asyncio.sleep(interval_s)

    async def _with_redis(self, step: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await step()
        except (NatsError, NotLeadingError) as error:  # first, because some of these are a TimeoutError too
            log.debug("not now", why=str(error) or type(error).__name__)
        except redis.ResponseError as error:
            self._sender.refusals.own(reason(error))
        except AWAY as error:
            self._parts.lost("redis", str(error) or type(error).__name__)
        return None

    async def _listen(self) -> None:
        """Follow the notices. Any may have been missed before this connection stood, so look at all lanes first."""
        notices = await self._ledger.subscribe()
        try:
            await self._in_force.refresh()
            await self._sender.poll(everywhere=True)
            self._parts.back("redis")
            while True:
                if (notice := await notices.next()) is not None:
                    await self._on_notice(notice)
        finally:
            with suppress(*AWAY):
                await notices.close()

    async def _on_notice(self, text: str) -> None:
        if text == CONFIGURATION_NOTICE:
            await self._in_force.refresh()
        elif text.startswith(STRIKE_NOTICE):
            await self._breaker.on_notice(text)
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
        closing = asyncio.create_task(self._source.close())
        # A second signal may end the wait, a commit may, or its time: so it looks again and again.
        while not closing.done() and time.monotonic() - started_s < max(self._drain_s, 0.1):
            await asyncio.sleep(0.01)
        await end(closing)
        while self._lanes.held and not self._failure and time.monotonic() - started_s < self._drain_s:
            await asyncio.sleep(0.01)
        left = self._lanes.held
        if left and not self._source.keeps:
            self._tally.add("dropped", "stop", by=left)
        signals_left = not await self._drain_relay(self._drain_s - (time.monotonic() - started_s))
        uncounted = not await self._write_last_checkpoint()
        unread = self._source.left
        is_left = bool(left or unread != 0 or signals_left or uncounted)
        if is_left:
            log.error(
                "stopped with work left",
                events=left,
                unread="not known: NATS is away" if unread is None else unread,
                signals_not_relayed=signals_left,
                counts_not_written=uncounted,
            )
        else:
            log.info("stopped", frames=self._tally.totals.of("frames"), relayed=self._tally.totals.of("relayed"))
        return int(is_left)

    async def _write_last_checkpoint(self) -> bool:
        await end(self._tasks["checkpoint"])
        try:
            await self._checkpoints.write_all()
        except (*AWAY, SupersededError):
            return False
        return True

    async def _drain_relay(self, time_left_s: float) -> bool:
        if not self._is_first:
            return True
        await end(self._tasks["relay"])
        try:
            # Signals that are committed get a moment, even when the events took all the time there was.
            async with asyncio.timeout(max(time_left_s, 1.0)):
                while True:
                    with suppress(NatsError):
                        return await self._relay.drain()
                    await asyncio.sleep(RETRY_S)
        except (*AWAY, NotLeadingError):
            return False

    # What others ask

    async def _answer_status(self, message: Msg) -> None:
        if not self._is_first and message.data != EACH_SHARD:
            return
        # Whoever publishes to a stream need not wait for who reads it.
        held = 0 if self._source.keeps else self._source.pending + max(lane.held for lane in self._lanes)
        held_bytes = 0 if self._source.keeps else self._lanes.held_bytes
        if message.data and (report := feed_report.decode(message.data)):
            self._feeds.take(report, time.monotonic())
        found = self._findings.current()
        number, bound_bytes = self._settings.shard.number, self._settings.ingest_total_bytes
        await message.respond(encode(Status(held_bytes, bound_bytes, held, found, number)))


def run(settings: Settings) -> int:
    """Run the service; the exit status, unless a signal ended it cleanly: then that signal ends the process."""
    configure_logging(settings, "ingest")
    tracing.start("ingest")

    async def main() -> tuple[int, signal.Signals | None]:
        service = Service(settings)
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
