"""What a delivery process says of itself: /healthz, /ready, metrics, and its log lines about what holds it up."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from tasks.ledger.deliveries import COUNTED
from tasks.telemetry.metrics import DELIVER

#: The main loop counts as hung when it has not turned for so long.
HUNG_S = 30.0
log = structlog.get_logger()


class DeliveryStatus:
    """The state of one delivery; also a collector of prometheus_client."""

    def __init__(self, name: str, kind: str, clock: Callable[[], float] = time.time) -> None:
        self._labels, self._clock = (name, kind), clock
        self.leads, self.stopping = False, False
        self.waiting = 0
        #: When the oldest signal was committed that waits, unix milliseconds; 0: none waits.
        self.oldest_ms = 0
        self.counts = dict.fromkeys((*COUNTED, "held_up"), 0)
        #: Why nothing is delivered, by part: redis, receiver; empty: it is.
        self.troubles = {"redis": "", "receiver": ""}
        self._turned_s = time.monotonic()

    def take_role(self, *, leads: bool) -> None:
        """Take note of whether this process delivers, or stands by, and then knows of no signal that waits."""
        self.leads = leads
        self.waiting = self.oldest_ms = 0

    def note_waiting(self, waiting: int, oldest_ms: int) -> None:
        """Take note of how many signals wait, and since when the oldest of them does, unix milliseconds; 0: none."""
        self.waiting, self.oldest_ms = waiting, oldest_ms

    @property
    def oldest_s(self) -> float:
        """The age of the oldest signal that waits; 0: none does."""
        return max(0.0, self._clock() - self.oldest_ms / 1_000) if self.oldest_ms else 0.0

    def stop(self) -> None:
        """Take note that the process ends."""
        self.stopping = True

    def beat(self) -> None:
        """Take note that the event loop turns."""
        self._turned_s = time.monotonic()

    def healthz(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the process should go on."""
        age_s = time.monotonic() - self._turned_s
        return age_s < HUNG_S, {"turned_s_ago": round(age_s, 3)}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether signals are delivered, here or by the process that leads."""
        well = not any(self.troubles.values()) and not self.stopping
        parts = {part: not why for part, why in self.troubles.items()}
        told = {"leads": self.leads, "waiting": self.waiting, "stopping": self.stopping}
        return well, {**parts, **told, "troubles": {part: why for part, why in self.troubles.items() if why}}

    def failed(self, part: str, why: str) -> bool:
        """Take note of why a part does not work; return whether that is news."""
        news = self.troubles[part] != why
        if news:
            log.warning("nothing is delivered, trying again", part=part, why=why, waiting=self.waiting)
        self.troubles[part] = why
        return news

    def works(self, part: str) -> bool:
        """Take note that a part works; return whether that is news."""
        news = bool(self.troubles[part])
        if news:
            log.info("works again", part=part)
        self.troubles[part] = ""
        return news

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the samples."""
        gauges = {
            "deliver_waiting": self.waiting,
            "deliver_oldest_seconds": self.oldest_s,
            "deliver_leads": self.leads,
            "deliver_receiver_up": not self.troubles["receiver"],
        }
        for name, metric in DELIVER.items():
            kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
            family = kind(name, metric.help, labels=metric.labels)
            value = gauges[name] if name in gauges else self.counts[name.removeprefix("deliver_")]
            family.add_metric(self._labels, float(value))
            yield family
