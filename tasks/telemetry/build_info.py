"""Version and role of the process, as a metric."""

import platform
from collections.abc import Iterator
from typing import Literal

from prometheus_client.core import GaugeMetricFamily

from tasks.telemetry.metrics import BUILD_INFO
from tasks.version import VERSION


class BuildInfo:
    """A collector of prometheus_client."""

    def __init__(self, role: Literal["ingest", "worker", "deliver"]) -> None:
        self._labels = (VERSION, platform.python_version(), role)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the one sample."""
        family = GaugeMetricFamily(BUILD_INFO.name, BUILD_INFO.help, labels=BUILD_INFO.labels)
        family.add_metric(self._labels, 1)
        yield family
