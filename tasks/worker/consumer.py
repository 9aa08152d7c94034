"""Celery's consumer, with a status server beside it, and a connection to the broker that always reconnects.

Only a worker's main process makes one, before its pool forks; `celeryconfig` names it.
"""

import os
from functools import partial
from typing import Any, NoReturn

import structlog
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool
from celery.events.dispatcher import EventDispatcher
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Queue

from tasks.errors import SettingsError
from tasks.protocol.queue_entry import RefusedEntry
from tasks.protocol.task_name import RESEARCH_QUEUE, worker_queue
from tasks.settings import load, mask
from tasks.worker import control_commands
from tasks.worker.entries import control_answers, transport
from tasks.worker.entries.refused_entries import RefusedEntries
from tasks.worker.status_server import BEAT_S, WorkerStatusServer

log = structlog.get_logger()


def _cannot_start(why: str) -> NoReturn:
    log.error("can't start", why=why)
    raise SystemExit(1) from None


def _refuse_unbounded(pool: Any) -> None:
    """End the start in a pool whose runs share a process: its timer and its note of what runs are one run's."""
    if not isinstance(pool, PreforkPool | SoloPool):
        name = type(pool).__module__.rpartition(".")[2].replace("thread", "threads")
        _cannot_start(f"--pool {name}: a run that hangs could not be ended there; use prefork or solo")


class OnceDispatcher(EventDispatcher):
    """Sends Celery's events once. Celery retries its heartbeat endlessly, in the main loop, while Redis hangs."""

    def _publish(self, *arguments: Any, **options: Any) -> None:
        super()._publish(*arguments, **options | {"retry": False})  # type: ignore[misc]  # its stubs do not know it


class WorkerConsumer(CeleryConsumer):
    """Celery's consumer, which keeps a status server up to date."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Workers have nothing to tell each other: a lane's order is kept by ingest and the ledger. And what they tell is
        # no task, so that it would be refused.
        alone = {"without_mingle": True, "without_gossip": True}
        super().__init__(*arguments, **options | {"worker_options": (options.get("worker_options") or {}) | alone})
        _refuse_unbounded(self.pool)
        # Celery gives every worker of a machine the same name, unless told otherwise.
        name, queues = f"{self.hostname}/{os.getpid()}", self.app.amqp.queues
        of_pools = sorted(queues.consume_from)
        if RESEARCH_QUEUE not in of_pools:  # a batch would wait there for a slice to end
            # Not declared: Redis would keep the binding of a worker that never comes back.
            own = worker_queue(name)
            queues.select_add(Queue(own, routing_key=own, no_declare=True))
        try:
            self._status_server = WorkerStatusServer(load(), name, of_pools, solo=isinstance(self.pool, SoloPool))
        except SettingsError as error:
            _cannot_start(str(error))
        control_commands.install()
        control: Any = self.app.control
        control_answers.restrict(control.mailbox, control_commands.refuse_answer)
        self._health = self._status_server.health
        self._on_refused = partial(RefusedEntries().add, self._status_server.keep)
        self.app.events.dispatcher_cls = "tasks.worker.consumer:OnceDispatcher"
        #: Whether it was logged that the broker is unavailable.
        self._warned = False

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Called by Celery for a message of the remote control whose body can't be read."""
        self._on_refused(RefusedEntry("", f"remote control: {type(exc).__name__}: {exc}", b""))
        message.ack()

    def register_with_event_loop(self, hub: Any) -> None:
        """Called by Celery at each connection; what is registered here ends with it."""
        super().register_with_event_loop(hub)
        self._watch_for_ends()
        hub.call_repeatedly(BEAT_S, self._beat)

    def _watch_for_ends(self) -> None:
        """Have the pool call us when a child ends. Celery makes its own handler again with each connection."""
        pool = getattr(self.pool, "_pool", None)
        if pool is None:
            return
        its_own = pool.on_process_down

        def ended(child: Any) -> None:
            its_own(child)
            self._status_server.ended(child.pid, child.exitcode)

        pool.on_process_down = ended

    def _beat(self) -> None:
        self._health.beat()
        processes = wanted = self.pool.num_processes
        consumer: Any = getattr(self, "task_consumer", None)
        # The solo pool has no children. Asked here, because only this thread may wait for them.
        prefork = getattr(self.pool, "_pool", None)
        if prefork:
            processes = sum(child.exitcode is None for child in prefork._pool)  # noqa: SLF001 nothing public says it
            if processes < wanted:
                # Celery may notice only after 5 s: what tells it of an end is often open in another child.
                prefork.maintain_pool()
        self._health.observe(processes, wanted, (queue.name for queue in consumer.queues) if consumer else ())

    def on_ready(self) -> None:
        """Called by Celery each time that it begins to take tasks."""
        super().on_ready()
        self._beat()
        self._health.listen()

    def on_close(self) -> None:
        """Called by Celery when the connection is lost, and at the end."""
        self._health.pause()
        if isinstance(self.pool, SoloPool):
            # What ran was cut off by the error that led here, and Celery would take it for running endlessly: where
            # no task is taken ahead, a solo worker would never take another one.
            state.active_requests.clear()
        super().on_close()

    def connection_for_read(self, heartbeat: float | None = None) -> Any:
        """Called by Celery to connect.

        Workers publish their connection to everybody: no passwords in options.
        """
        connection = super().connection_for_read(heartbeat)
        told = connection.info
        connection.info = lambda: told() | {"transport_options": {}}  # type: ignore[method-assign]  # on purpose
        return connection

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, for what is checked before it is decoded: retry until it succeeds.

        Celery's own does not say that it is alive meanwhile, and pauses for up to 30 s.
        """

        def come_round() -> None:
            self._health.beat()
            state.maybe_shutdown()

        def on_error(error: Exception, pause_s: float) -> None:
            level = log.debug if self._warned else log.warning
            level("connection lost, retrying", part="broker", url=mask(load().broker), why=str(error), pause_s=pause_s)
            self._warned = True

        transport.check(conn, self._on_refused)
        conn.ensure_connection(on_error, None, interval_start=1, interval_step=1, interval_max=5, callback=come_round)
        self._warned = self.first_connection_attempt = False
        return conn

    def stop(self) -> None:
        """Called by Celery when the worker ends: no more tasks, but batches that run are finished."""
        self._status_server.leave()
        super().stop()

    def shutdown(self) -> None:
        """Called by Celery when all has ended."""
        super().shutdown()
        self._status_server.close()
