"""Telemetry: what processes tell about themselves: logs, metrics, traces, latencies, and the HTTP server of probes.

Everything above may use it; it knows the settings, the protocol and errors.
"""

__all__ = [
    "allowed_hosts",
    "bounded_server",
    "build_info",
    "cross_site",
    "fair_slots",
    "http_server",
    "latency",
    "log_throttle",
    "logs",
    "metrics",
    "otel",
    "rate_limit",
    "terminal",
    "trace_context",
    "tracing",
]
