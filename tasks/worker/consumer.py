"""Celery's consumer, which also lets a worker be seen: probes and metrics over HTTP, and its entry in the ledger.

Only a worker's main process makes one, before its pool forks; `celeryconfig` names it.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import redis
import structlog
from celery.concurrency.solo import TaskPool as SoloPool
from celery.events.dispatcher import EventDispatcher
from celery.signals import task_rejected, task_unknown
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from prometheus_client import CollectorRegistry

from tasks.errors import SettingsError
from tasks.ledger.heartbeats import EVERY_S, Heartbeat
from tasks.settings import Settings, load, mask
from tasks.telemetry.build_info import BuildInfo
from tasks.telemetry.http_server import Address, serve
from tasks.worker import control_commands, worker_metrics
from tasks.worker.fork_safe_loop import ForkSafeLoopThread
from tasks.worker.health import WorkerHealth
from tasks.worker.run_guard import ChildrenGuard, fork_guard, write_left_behind

BEAT_S = 1.0
_STOP_S = 10.0
log = structlog.get_logger()


class WorkerStatusServer:
    """What others see of a worker; runs beside its main thread."""

    def __init__(self, settings: Settings, name: str, queues: list[str], *, solo: bool) -> None:
        """Count from now on, listen, and announce. Raises SettingsError when the port is taken and must not be."""
        self.vitals = WorkerHealth(settings.run_limit_s)
        self._settings = settings
        owner = hashlib.sha256(f"{settings.ledger} {settings.namespace}".encode()).hexdigest()[:12]
        write_left_behind(settings, worker_metrics.left_behind(owner))
        self._directory = worker_metrics.start(queues, owner)
        self._registry = CollectorRegistry()
        for collector in (BuildInfo("worker"), self.vitals, worker_metrics.Collector(self._directory)):
            self._registry.register(collector)
        self._name = name
        self._leaving, self._ending = asyncio.Event(), asyncio.Event()
        self._beside = ForkSafeLoopThread()
        self._guard = None if solo else ChildrenGuard(settings, self._directory)
        if solo:
            fork_guard(settings, self._directory)
        try:
            self._beside.start(self._main)
        except SettingsError:
            worker_metrics.stop(self._directory)
            raise

    def leave(self) -> None:
        """Say that this worker takes no more tasks."""
        self.vitals.stopping = True
        self._beside.call(self._leaving.set)

    def ended(self, pid: int, exit_code: int | None) -> None:
        """Take the end of a child."""
        if self._guard:
            self._beside.call(partial(self._guard.ended, pid, exit_code))

    def close(self) -> None:
        """End it all, within 10 s."""
        self.leave()
        self._beside.call(self._ending.set)
        self._beside.join(_STOP_S)
        worker_metrics.stop(self._directory)

    async def _main(self, up: Callable[[], None]) -> None:
        address = Address.of_worker(self._settings)
        server, self.vitals.port = serve(address, self.vitals.healthz, self.vitals.ready, self._registry)
        up()
        watching = asyncio.create_task(self._guard.run()) if self._guard else None
        presence = Heartbeat(self._settings, self._name)
        await self._announce(presence)
        await self._ending.wait()
        server.stop()
        if self._guard and watching:
            watching.cancel()
            await self._guard.close()
        await presence.close()

    async def _announce(self, presence: Heartbeat) -> None:
        while not self._leaving.is_set():
            told = self.vitals.queues if self.vitals.listening else None
            await self._tell(presence)
            await self._wait(told)
        await self._tell(presence)

    async def _wait(self, told: tuple[str, ...] | None) -> None:
        """Wait until it is time to tell again: after some seconds, or soon after something has changed."""
        for _ in range(round(EVERY_S / BEAT_S)):
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._leaving.wait()
            if self._leaving.is_set() or not self.vitals.listening or self.vitals.queues != told:
                return

    async def _tell(self, presence: Heartbeat) -> None:
        # No word of a ledger that is away: /ready says it, and the batches do.
        try:
            if self.vitals.listening and not self.vitals.stopping:
                await presence.announce(self.vitals.processes, self.vitals.queues, control_commands.refused_lately())
            else:
                await presence.leave()
        except (redis.RedisError, OSError, TimeoutError):
            self.vitals.answered(well=False)
        else:
            self.vitals.answered(well=True)


class OnceDispatcher(EventDispatcher):
    """Sends Celery's events once. Celery tries its sign of life for ever, in the main loop, while Redis hangs."""

    def _publish(self, *arguments: Any, **options: Any) -> None:
        super()._publish(*arguments, **options | {"retry": False})  # type: ignore[misc]  # its stubs do not know it


class Consumer(CeleryConsumer):
    """Celery's, with a front."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        try:
            # Celery gives every worker of a machine the same name, unless told otherwise.
            name = f"{self.hostname}/{os.getpid()}"
            self._front = WorkerStatusServer(
                load(), name, sorted(self.app.amqp.queues.consume_from), solo=isinstance(self.pool, SoloPool)
            )
        except SettingsError as error:
            log.error("can't start", why=str(error))  # noqa: TRY400 one line, no traceback
            raise SystemExit(1) from None
        control_commands.install()
        self._vitals = self._front.vitals
        self.app.events.dispatcher_cls = "tasks.worker.consumer:OnceDispatcher"
        #: Whether it was said that the broker is away.
        self._away = False
        for refused in (task_unknown, task_rejected):
            refused.connect(self._on_foreign)

    def _on_foreign(self, **_: Any) -> None:
        worker_metrics.count("worker_foreign_tasks")

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Called by Celery for a body in none of our encodings."""
        worker_metrics.count("worker_foreign_tasks")
        super().on_decode_error(message, exc)

    def register_with_event_loop(self, hub: Any) -> None:
        """Called by Celery at each connection; what is registered here ends with it."""
        super().register_with_event_loop(hub)
        self._hear_of_ends()
        hub.call_repeatedly(BEAT_S, self._beat)

    def _hear_of_ends(self) -> None:
        """Be told when a child ends. Celery makes its own handler anew with each connection."""
        pool = getattr(self.pool, "_pool", None)
        if pool is None:
            return
        its_own = pool.on_process_down

        def ended(child: Any) -> None:
            its_own(child)
            self._front.ended(child.pid, child.exitcode)

        pool.on_process_down = ended

    def _beat(self) -> None:
        vitals = self._vitals
        vitals.beat()
        vitals.processes = vitals.wanted = self.pool.num_processes
        consumer: Any = getattr(self, "task_consumer", None)
        vitals.queues = tuple(sorted(queue.name for queue in consumer.queues)) if consumer else ()
        # The solo pool has no children. Asked here, because only this thread may wait for them.
        prefork = getattr(self.pool, "_pool", None)
        if prefork:
            vitals.processes = sum(child.exitcode is None for child in prefork._pool)  # noqa: SLF001 nothing public says it
            if vitals.processes < vitals.wanted:
                # Celery may notice only after 5 s: what tells it of an end is often open in another child.
                prefork.maintain_pool()

    def on_ready(self) -> None:
        """Called by Celery each time that it begins to take tasks."""
        super().on_ready()
        self._beat()
        self._vitals.listening = True

    def on_close(self) -> None:
        """Called by Celery when the connection is lost, and at the end."""
        self._vitals.listening = False
        if isinstance(self.pool, SoloPool):
            # What ran was cut off by the error that led here, and Celery would take it for running for ever: where
            # no task is taken ahead, a solo worker would never take another one.
            state.active_requests.clear()
        super().on_close()

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        """Called by Celery to connect. What workers tell of their connection is for everybody: no passwords in options."""
        connection = super().connection_for_read(heartbeat)
        told = connection.info
        connection.info = lambda: told() | {"transport_options": {}}  # type: ignore[method-assign]  # on purpose
        return connection

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, for ever. Celery's own does not say that it is alive meanwhile, and pauses for up to 30 s."""

        def come_round() -> None:
            self._vitals.beat()
            state.maybe_shutdown()

        def on_error(error: Exception, pause_s: float) -> None:
            level = log.debug if self._away else log.warning
            level("away: trying for ever", part="broker", url=mask(load().broker), why=str(error), pause_s=pause_s)
            self._away = True

        conn.ensure_connection(on_error, None, interval_start=1, interval_step=1, interval_max=5, callback=come_round)
        self._away = self.first_connection_attempt = False
        return conn

    def stop(self) -> None:
        """Called by Celery when the worker ends: no more tasks, but batches that run are finished."""
        self._front.leave()
        super().stop()

    def shutdown(self) -> None:
        """Called by Celery when all has ended."""
        super().shutdown()
        self._front.close()
