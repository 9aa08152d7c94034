"""A worker's probes and metrics over HTTP, and its entry in the ledger."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from prometheus_client import CollectorRegistry

from tasks.clients.redis_client import FAILED
from tasks.errors import SettingsError
from tasks.ledger.heartbeats import EVERY_S, Heartbeat
from tasks.protocol.counters import CounterKey
from tasks.settings import Settings
from tasks.telemetry.build_info import BuildInfo
from tasks.telemetry.http_server import Address, serve
from tasks.worker import control_commands, worker_metrics
from tasks.worker.entries.letter_writer import LetterWriter
from tasks.worker.fork_safe_loop import ForkSafeLoopThread
from tasks.worker.health import WorkerHealth
from tasks.worker.run_guard import ChildrenGuard, fork_guard, write_left_behind

BEAT_S = 1.0


_STOP_S = 10.0


class WorkerStatusServer:
    """Serves probes and metrics, and writes the heartbeat, in a thread beside the main one."""

    def __init__(self, settings: Settings, name: str, queues: list[str], *, solo: bool) -> None:
        """Count from now on, listen, and announce. Raises SettingsError when the port is taken and must not be."""
        self.health = WorkerHealth(settings.run_limit_s)
        self._settings = settings
        owner = hashlib.sha256(f"{settings.ledger} {settings.namespace}".encode()).hexdigest()[:12]
        write_left_behind(settings, worker_metrics.left_behind(owner))
        self._directory = worker_metrics.start(queues, owner)
        self._registry = CollectorRegistry()
        for collector in (BuildInfo("worker"), self.health, worker_metrics.Collector(self._directory)):
            self._registry.register(collector)
        self._name = name
        self._leaving, self._ending = asyncio.Event(), asyncio.Event()
        self._thread = ForkSafeLoopThread()
        self._letters = LetterWriter(settings)
        self._guard = None if solo else ChildrenGuard(settings, self._directory)
        if solo:
            fork_guard(settings, self._directory)
        try:
            self._thread.start(self._main)
        except SettingsError:
            worker_metrics.stop(self._directory)
            raise

    def leave(self) -> None:
        """Announce that this worker takes no more tasks."""
        self.health.stop()
        self._thread.call(self._leaving.set)

    def ended(self, pid: int, exit_code: int | None) -> None:
        """Take the end of a child."""
        if self._guard:
            self._thread.call(partial(self._guard.ended, pid, exit_code))

    def keep(self, letter: bytes, counter: CounterKey) -> None:
        """Write a dead letter, packed, and add to a counter of the ledger."""
        self._thread.call(partial(self._letters.write_soon, letter, counter))

    def close(self) -> None:
        """End it all, within 10 s."""
        self.leave()
        self._thread.call(self._ending.set)
        self._thread.join(_STOP_S)
        worker_metrics.stop(self._directory)

    async def _main(self, up: Callable[[], None]) -> None:
        address = Address.of_worker(self._settings)
        server, _ = serve(address, self.health.healthz, self.health.ready, self._registry)
        up()
        watching = asyncio.create_task(self._guard.run()) if self._guard else None
        heartbeat = Heartbeat(self._settings, self._name)
        await self._announce(heartbeat)
        await self._ending.wait()
        server.stop()
        if self._guard and watching:
            watching.cancel()
            await self._guard.close()
        await self._letters.close()
        await heartbeat.close()

    async def _announce(self, heartbeat: Heartbeat) -> None:
        while not self._leaving.is_set():
            announced = self.health.queues if self.health.listening else None
            await self._write(heartbeat)
            await self._wait(announced)
        await self._write(heartbeat)

    async def _wait(self, announced: tuple[str, ...] | None) -> None:
        """Wait until it is time to announce again: after some seconds, or soon after something has changed."""
        for _ in range(round(EVERY_S / BEAT_S)):
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._leaving.wait()
            if self._leaving.is_set() or not self.health.listening or self.health.queues != announced:
                return

    async def _write(self, heartbeat: Heartbeat) -> None:
        # Nothing is logged where Redis is unavailable: /ready says it, and the batches do.
        try:
            if self.health.listening and not self.health.stopping:
                await heartbeat.announce(self.health.processes, self.health.queues, control_commands.refused_lately())
            else:
                await heartbeat.leave()
        except FAILED:
            self.health.answered(well=False)
        else:
            self.health.answered(well=True)
