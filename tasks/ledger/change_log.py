"""The history of the configuration in the ledger: every change, with what it changed."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import redis

from tasks.configuration import Configuration, edits
from tasks.configuration.edits import KeyDifference
from tasks.configuration.history import ConfigurationChange
from tasks.errors import UNREADABLE, LedgerError, UnreadableEntryError
from tasks.ledger import pager
from tasks.ledger.keys import LedgerKeys

#: A change, and what it changed; None: the ledger can't tell.
ChangeDifferences = tuple[ConfigurationChange, list[KeyDifference] | None]

_decode = msgspec.json.Decoder(ConfigurationChange).decode


class ChangeLog:
    """Reads the changes of the configuration."""

    def __init__(self, client: redis.Redis, keys: LedgerKeys) -> None:
        self._client, self._keys = client, keys

    def count(self) -> int:
        """Return how many changes there were."""
        count: Any = self._client.xlen(self._keys.history)
        return int(count)

    def oldest_first(self) -> list[ConfigurationChange]:
        """Return all changes. Raises UnreadableEntryError."""
        return list(self._changes("-", "+", backwards=False))

    def newest_first(self, before: str = "") -> Iterator[ConfigurationChange]:
        """Yield the changes, the newest first; `before` the entry of one, if given. Raises UnreadableEntryError."""
        return self._changes("-", f"({before}" if before else "+", backwards=True)

    def _changes(self, start: str, end: str, *, backwards: bool) -> Iterator[ConfigurationChange]:
        page = 100 if backwards else pager.PAGE
        for name, fields in pager.entries(
            [self._client], self._keys.history, start, end, page=page, backwards=backwards
        ):
            try:
                yield msgspec.structs.replace(_decode(fields.get(b"change", b"")), entry=name)
            except UNREADABLE as error:
                raise UnreadableEntryError.of(self._keys.history, name, error) from None

    def differences(self, changes: Iterable[ConfigurationChange]) -> Iterator[ChangeDifferences]:
        """Yield changes, each with what it changed."""
        known: dict[str, Configuration | None] = {}
        for change in changes:
            for version in {change.previous, change.version} - known.keys():
                known[version] = self._read(version)
            old, new = known[change.previous], known[change.version]
            yield change, edits.difference(old, new) if old and new else None

    def _read(self, version: str) -> Configuration | None:
        stored: Any = self._client.hget(self._keys.configurations, version)
        with suppress(LedgerError):
            return Configuration.parse_as(version, stored) if stored else None
        return None
