"""A worker's health, set by its main thread and read by its probes. No I/O."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily

from tasks.ledger.heartbeats import EVERY_S
from tasks.telemetry.metrics import WORKER

#: How long the main loop may be silent, beyond the longest run of a batch: when Redis hangs it waits for several
#: sockets, 5 s each. Twice what was seen then (20 s).
PATIENCE_S = 40.0
#: The ledger is unavailable when it refused, or has not answered for so long: it is queried every 3 s and may take 5 s.
UNAVAILABLE_S = EVERY_S + 5 + 1


class WorkerHealth:
    """Liveness and readiness of a worker. Each attribute is written by one thread only."""

    def __init__(self, run_limit_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """Begin with a sign of life. In the solo pool the main thread runs the batches: hence the `run_limit_s`."""
        self._now = now
        self._limit_s = run_limit_s + PATIENCE_S
        self._beat_s = now()
        self._answered_s = -UNAVAILABLE_S
        #: Processes that run batches: how many live, and how many should.
        self.processes = self.wanted = 0
        #: The queues that it takes tasks from: anybody who reaches the broker may have it leave some.
        self.queues: tuple[str, ...] = ()
        #: Whether it takes tasks from its queues.
        self.listening = False
        self.stopping = False

    def beat(self) -> None:
        """Note that the main loop has run."""
        self._beat_s = self._now()

    def observe(self, processes: int, wanted: int, queues: Iterable[str]) -> None:
        """Note how many processes live and how many should, and which queues tasks are taken from."""
        self.processes, self.wanted, self.queues = processes, wanted, tuple(sorted(queues))

    def listen(self) -> None:
        """Note that tasks are taken from the queues."""
        self.listening = True

    def pause(self) -> None:
        """Note that no tasks are taken: the connection is lost, or the worker ends."""
        self.listening = False

    def stop(self) -> None:
        """Note that the worker stops."""
        self.stopping = True

    def answered(self, *, well: bool) -> None:
        """Note whether the ledger answered."""
        self._answered_s = self._now() if well else -UNAVAILABLE_S

    @property
    def beat_age_s(self) -> float:
        """Seconds since the last sign of life."""
        return self._now() - self._beat_s

    def healthz(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the main loop makes progress, and the age of its last sign of life.

        A worker that stops waits for its processes without a sign of life, and counts as alive.
        """
        age_s = self.beat_age_s
        return age_s < self._limit_s or self.stopping, {"heartbeat_age_s": round(age_s, 3)}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether batches are worked off, and the details: each part that has to be there, processes, queues, port."""
        parts = {
            "broker": self.listening,
            "redis": self._now() - self._answered_s < UNAVAILABLE_S,
            "pool": self.processes > 0,
            "heartbeat": self.healthz()[0],
        }
        said: dict[str, Any] = {"stopping": self.stopping, "processes": self.processes, "processes_wanted": self.wanted}
        said["queues"] = list(self.queues)
        return all(parts.values()) and not self.stopping, {**parts, **said}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges: called by prometheus_client."""
        gauges = {"worker_broker_up": float(self.listening), "worker_heartbeat_age_seconds": self.beat_age_s}
        for name, value in gauges.items():
            yield GaugeMetricFamily(name, WORKER[name].help, value)
