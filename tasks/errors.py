"""The errors that a user sees, each as one clear line.

    RealtimeStrategiesError       anything below; commands print it as one line and exit with 1
    ├── SettingsError             the environment, a file or a request has a value that can't be used
    │   └── UnknownNameError      no strategy, pool or shadow has this name
    ├── RecordingError            a recording is missing or is not one
    ├── DatasetError              a dataset that was prepared for a sweep is missing or damaged
    ├── ServerUnavailableError    NATS or Redis is not there
    ├── NotStoredError            a stream did not take what was published to it
    └── LedgerError               the ledger holds something else than was asked for
        ├── NotFoundError         the ledger does not hold what was asked for by its name
        ├── NothingInForceError   no configuration is in force yet
        ├── NothingToUndoError    no change of the configuration is left to undo
        ├── UnreadableEntryError  a stream in Redis holds something else than was written there
        └── TrimmedError          the signal stream no longer holds every signal

The docstring of a class is its message when it is raised without one.
"""

from collections.abc import Sequence
from typing import Self

import msgspec

#: What msgspec raises for bytes that are not what they should be; the last one for what is nested too deeply.
UNREADABLE: tuple[type[Exception], ...] = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class RealtimeStrategiesError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        """Take `message`, or the class's docstring."""
        super().__init__(message or (type(self).__doc__ or "").strip())


class SettingsError(RealtimeStrategiesError):
    """The settings can't be used."""

    #: Each by itself, where there may be several.
    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, headline: str, faults: Sequence[str]) -> Self:
        """Return an error of several faults: one stands in the headline's line, more in a line each."""
        between = " " if len(faults) == 1 else "\n  "
        error = cls(f"{headline}:{between}{between.join(faults)}")
        error.faults = tuple(faults)
        return error


class UnknownNameError(SettingsError):
    """There is nothing of this name."""


class RecordingError(RealtimeStrategiesError):
    """The recording can't be read."""


class DatasetError(RealtimeStrategiesError):
    """The dataset can't be used."""


class ServerUnavailableError(RealtimeStrategiesError):
    """A server that is needed is not there."""


class NotStoredError(RealtimeStrategiesError):
    """The stream does not hold what was published to it."""


class LedgerError(RealtimeStrategiesError):
    """The ledger does not hold what was asked for."""


class NotFoundError(LedgerError):
    """The ledger holds nothing of this name."""


class NothingInForceError(LedgerError):
    """No configuration is in force yet."""


class NothingToUndoError(LedgerError):
    """There is no earlier configuration to go back to."""


class UnreadableEntryError(LedgerError):
    """An entry of a stream in Redis is not what it should be."""

    @classmethod
    def of(cls, stream: str, entry: str, error: Exception) -> "UnreadableEntryError":
        """Return the error for an entry; it names the entry, so that it can be looked at and removed."""
        return cls(f"entry {entry} of {stream} can't be read: {str(error)[:200]}")


class TrimmedError(LedgerError):
    """The signal stream was trimmed, so there is no digest of all signals. Raise SIGNALS_KEEP to keep more."""
