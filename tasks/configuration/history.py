"""The history of the configuration: what was changed, and which changes are in force. Pure.

A rollback undoes the newest change at run time that is in force, so it is as if that had never been; the next rollback
undoes the one before it. What the strategies file changed is no change at run time, and is undone in the file.
"""

from collections.abc import Sequence

import msgspec

from tasks.configuration.overlay import Overlay
from tasks.errors import NotFoundError, NothingToUndoError
from tasks.events import DateMs
from tasks.protocol.utc_time import utc

#: The author of what ingest takes over from the strategies file.
FILE = "strategies file"
#: The author of what ingest puts back into a Redis that has lost it.
INGEST = "ingest"
#: How the reason of a rollback begins where none is given, in earlier releases: all that they tell of one.
_ROLLBACK = "rollback to "


class ConfigurationChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change of the configuration: version, time, author, reason."""

    version: str
    #: The version before; empty for the first.
    previous: str
    author: str
    reason: str
    #: Unix milliseconds.
    at_ms: DateMs
    #: All that is set at run time since this change; None: an earlier release wrote it, which kept none of it.
    overlay: Overlay | None = None
    #: The version of the strategies file that was taken over with it, if one was.
    file: str = ""
    #: For a rollback: the `entry` of the change whose runtime values it brought back.
    restores: str = ""
    #: Its name in the history; given when it is read.
    entry: str = ""

    @property
    def at(self) -> str:
        """When it was, for a person: UTC."""
        return utc(self.at_ms)

    @property
    def is_ground(self) -> bool:
        """Whether no earlier change can be rolled back to: an earlier release's file edit, or an empty Redis."""
        return self.author == INGEST or (self.author == FILE and self.overlay is None)


class HistoryReplay:
    """The history replayed from its beginning: for each change, the state that it was made on."""

    def __init__(self, history: Sequence[ConfigurationChange]) -> None:
        """Take all changes, oldest first."""
        self._history = history
        self._parents: dict[str, ConfigurationChange | None] = {}
        #: By the entry of each change: the change at run time that was the newest in force after it.
        self._heads: dict[str, ConfigurationChange | None] = {}
        head: ConfigurationChange | None = None
        for at, change in enumerate(history):
            restored = self._restored(history[:at], change)
            if restored is not None:
                head = self._heads[restored.entry]
            elif change.is_ground or head is None:
                self._parents[change.entry], head = None, change
            elif change.author != FILE:
                self._parents[change.entry], head = head, change
            self._heads[change.entry] = head
        self._head = head

    @staticmethod
    def _restored(before: Sequence[ConfigurationChange], change: ConfigurationChange) -> ConfigurationChange | None:
        """Return the change that a rollback went back to; None: it is no rollback."""
        if change.restores:
            return next((each for each in before if each.entry == change.restores), None)
        if change.overlay is not None or not change.reason.startswith(_ROLLBACK):
            return None
        return next((each for each in reversed(before) if each.version == change.version), None)

    def in_force(self) -> list[ConfigurationChange]:
        """Return the changes that are in force and not undone, oldest first; the first is the ground they stand on."""
        chain: list[ConfigurationChange] = []
        change = self._head
        while change is not None:
            chain.insert(0, change)
            change = self._parents[change.entry]
        return chain

    def undone(self) -> tuple[ConfigurationChange, ConfigurationChange]:
        """Return the newest change that is in force, and the one before it. Raises NothingToUndoError."""
        chain = self.in_force()
        if len(chain) < 2:
            raise NothingToUndoError(
                "there is no earlier configuration: nothing that was set at run time is left to undo"
            )
        return chain[-1], chain[-2]

    def find(self, version: str) -> ConfigurationChange:
        """Return the newest change that put a version in force, or the one with this `entry`. Raises NotFoundError."""
        for change in reversed(self._history):
            if version in {change.version, change.entry}:
                return change
        raise NotFoundError(
            f"the ledger holds no configuration {version!r}; `./run tasks strategies history` lists them"
        )

    def file(self, change: ConfigurationChange) -> str:
        """Return the version of the strategies file on which a change stands."""
        before = self._history[: self._history.index(change) + 1]
        taken = next((each for each in reversed(before) if each.file or each.author == FILE), before[0])
        return taken.file or taken.version
