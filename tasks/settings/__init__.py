"""Settings: read from the environment and checked once, at the start of a process.

Everything above may use it; it knows the protocol's names and errors. Besides it, `tasks.version` reads
APP_VERSION, `tasks.invocation` RUN_CALLED_AS, `tasks.telemetry.tracing` OpenTelemetry's own variables, and the `binance` feed those of proxies.
"""

from tasks.settings.frame_limits import frame_limits
from tasks.settings.masking import mask, without_login
from tasks.settings.model import SECRETS, Settings, load, unknown_names

__all__ = [
    "SECRETS",
    "Settings",
    "delivery",
    "environment",
    "frame_limits",
    "groups",
    "load",
    "mask",
    "masking",
    "model",
    "nats_settings",
    "nats_url",
    "redis_settings",
    "redis_url",
    "secret_files",
    "unknown_names",
    "validation",
    "values",
    "without_login",
]
