"""The configurations that a process knows: written back where the ledger has lost them.

A version is the hash of its content, so whoever knows the content may write it, at any time.
"""

from collections.abc import Callable
from typing import Any

import redis

from tasks.configuration import Configuration
from tasks.configuration.stored import StoredConfiguration, overlay_version
from tasks.errors import LedgerError, NotFoundError
from tasks.ledger.keys import LedgerKeys

#: Batches of more configurations are in flight only if somebody changes it many times a second.
CONFIGURATIONS_KEPT = 8


class KnownConfigurations:
    """The last configurations that a process has met."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        """`key` is that of the ledger's configurations."""
        self._client, self._key = client, key
        #: By version: what the ledger should hold of it.
        self._known: dict[str, bytes] = {}

    def read(self, version: str) -> bytes | None:
        """Return the JSON of a configuration by its content hash, as the ledger has it. Raises what Redis raises."""
        return self._client.hget(self._key, version)  # type: ignore[return-value]  # a sync client

    def remember(self, configuration: Configuration) -> None:
        """Remember a configuration; the one that was remembered first is forgotten where there are too many."""
        version = configuration.version
        self._known[version] = self._known.pop(version, b"") or configuration.stored()
        if len(self._known) > CONFIGURATIONS_KEPT:
            del self._known[next(iter(self._known))]

    def restore(self) -> list[str]:
        """Write back those that the ledger does not hold, or of which it holds something else; return their versions.

        Raises what Redis raises.
        """
        versions = list(self._known)
        if not versions:
            return []
        held: Any = self._client.hmget(self._key, versions)
        lost = {
            version: self._known[version]
            for version, packed in zip(versions, held, strict=True)
            if packed != self._known[version] and not is_readable(version, packed)
        }
        if lost:
            self._client.hset(self._key, mapping=lost)  # type: ignore[arg-type]  # redis-py's gap
        return list(lost)


def is_readable(version: str, packed: bytes | None) -> bool:
    """Return whether what the ledger holds under a version is that configuration; None: it holds nothing."""
    if packed is None:
        return False
    try:
        Configuration.parse_as(version, packed)
    except LedgerError:
        return False
    return True


def lost_in_force(stored: StoredConfiguration, keys: LedgerKeys) -> LedgerError:
    """Return the error where nobody who starts knows the content of what is in force, and what to do."""
    version, other = stored.version, overlay_version(stored)
    damaged = (
        f"HSET {keys.configuration} version {other} if its overlay is right, " if other not in {"", version} else ""
    )
    return LedgerError(
        f"{keys.configurations} has lost {version}, which {keys.configuration} names as in force: {damaged}start ingest "
        f"once with its strategies file, or DEL {keys.configuration}, which forgets what was set at run time"
    )


def in_force(read: Callable[[str], Configuration], stored: StoredConfiguration, keys: LedgerKeys) -> Configuration:
    """Return the configuration in force by reading its version. Raises LedgerError, also where that is lost."""
    try:
        return read(stored.version)
    except NotFoundError:
        raise lost_in_force(stored, keys) from None
