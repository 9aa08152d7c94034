"""Structlog as it is before anything configures it."""

import sys

import structlog
from structlog._config import (
    BoundLoggerLazyProxy,  # No public name says that a logger keeps what it was first used with.
)


def restore_logging_defaults() -> None:
    """Undo `structlog.configure`, also in the modules' loggers that keep the configuration of their first use."""
    if not structlog.is_configured():
        return
    structlog.reset_defaults()
    for module in list(sys.modules.values()):
        for value in list(vars(module).values()):
            if type(value) is BoundLoggerLazyProxy:
                vars(value).pop("bind", None)
