"""The aliases of strategies in the ledger: beside the configurations, because they are no part of any version.

So one that is set, changed or removed changes no version, and workers of every release read what they run.
"""

from typing import Any

import redis

from tasks.configuration import Configuration, aliases, registry
from tasks.configuration.aliases import AliasedStrategy

_FIELD = "aliases"


class AliasStore:
    """The aliases of the strategies file that ingest has read last."""

    def __init__(self, client: redis.Redis, key: str) -> None:
        """`key` is that of the configuration in force."""
        self._client, self._key = client, key

    def read(self) -> dict[str, AliasedStrategy]:
        """Return them by alias. Raises LedgerError: they can't be read; and what Redis raises."""
        stored: Any = self._client.hget(self._key, _FIELD)
        return aliases.unpack(stored or b"")

    def keep(self, file: Configuration, stored: bytes) -> bytes:
        """Keep those of a strategies file in place of what is stored; return what is then. Raises what Redis raises."""
        packed = aliases.pack(aliases.of_configuration(file, registry.signal_name))
        if packed != stored:
            self._client.hset(self._key, _FIELD, packed)
        return packed
