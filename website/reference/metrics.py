"""The page of all metrics, from their table."""

from collections.abc import Mapping

from tasks.telemetry.metrics import BUILD_INFO, DELIVER, INGEST, WORKER, Metric
from website.reference.markdown import code, prose, table

_INTRODUCTION = """\
# Metrics

Ingest exports its metrics at `/metrics` on [HTTP_PORT](settings.md#http_port), a worker on
[WORKER_HTTP_PORT](settings.md#worker_http_port), a delivery on [DELIVER_HTTP_PORT](settings.md#deliver_http_port), in the formats of Prometheus and OpenMetrics. Units are base units, and part
of the name. No metric has a symbol as a label, because there may be thousands. What is made of them:
[alerts](alerts.md), and [how to watch a pipeline](../observability.md).
"""


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION, "## Of every process\n", _table({BUILD_INFO.name: BUILD_INFO})]
    return "\n".join(
        [
            *parts,
            "## Of ingest\n",
            _table(INGEST),
            "## Of workers\n",
            _table(WORKER),
            "## Of deliveries\n",
            _table(DELIVER),
        ]
    )


def _table(metrics: Mapping[str, Metric]) -> str:
    rows = ((_name(each), each.type, ", ".join(map(code, each.labels)), prose(each.help)) for each in metrics.values())
    return table(["metric", "type", "labels", "what it is"], rows)


def _name(metric: Metric) -> str:
    return code(f"{metric.name}_total" if metric.type == "counter" else metric.name)
