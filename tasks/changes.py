"""Configurations in force: which one, since when, by whom and why. Changed by compare-and-set, never overwritten.

The strategies file gives the first one. Changes at run time go on top of it and outlive restarts; a file that was
edited since takes over again at the next start of ingest.
"""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tasks import configuration, edits, registry
from tasks.configuration import Configuration
from tasks.errors import UNREADABLE, LedgerError, UnreadableEntryError
from tasks.events import DateMs
from tasks.ledger import CONFIGURATION_NOTICE, Keys, connection_options, script
from tasks.redis_clients import connect
from tasks.settings import Settings

#: How often a change that does not depend on others is tried while others change something.
TRIES = 10


class ConflictError(LedgerError):
    """Somebody else changed the configuration meanwhile; nothing was changed. Look at it and try again."""


class Change(msgspec.Struct, frozen=True):
    """One change of the configuration."""

    version: str
    #: The version before; empty for the first.
    previous: str
    author: str
    reason: str
    #: Unix milliseconds.
    at_ms: DateMs

    @property
    def at(self) -> str:
        """When it was, for a person: UTC."""
        return f"{datetime.fromtimestamp(self.at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


_decode_change = msgspec.json.Decoder(Change).decode


def read_file(path: Path) -> Configuration:
    """Read a strategies file and try everything in it. Raises SettingsError, one message with every fault."""
    chosen = configuration.read(path)
    registry.build(chosen)
    return chosen


class Changes:
    """The configurations in the ledger."""

    def __init__(self, settings: Settings) -> None:
        self._client = connect(settings, settings.ledger, **connection_options())
        self._keys = Keys(settings.namespace)
        self._configure = self._client.register_script(script("configure"))

    def version(self) -> str:
        """Give the version in force; empty when there is none yet."""
        return self._field(self._keys.configuration, "version").decode()

    def _field(self, key: str, field: str) -> bytes:
        value: Any = self._client.hget(key, field)
        return value or b""

    def read(self, version: str) -> Configuration:
        """Give a configuration. Raises LedgerError when the ledger does not hold it."""
        packed = self._field(self._keys.configurations, version)
        if not packed:
            raise LedgerError(f"the ledger holds no configuration {version!r}; `strategies history` lists them")
        return Configuration.parse(packed)

    def history(self) -> list[Change]:
        """Give all changes, oldest first. Raises UnreadableEntryError."""
        entries: Any = self._client.xrange(self._keys.history)
        return [self._change(name.decode(), fields.get(b"change", b"")) for name, fields in entries]

    def _change(self, entry: str, packed: bytes) -> Change:
        try:
            return _decode_change(packed)
        except UNREADABLE as error:
            raise UnreadableEntryError.of(self._keys.history, entry, error) from None

    def put(self, chosen: Configuration, previous: str, author: str, reason: str, file: str = "") -> Change:
        """Put a configuration in force instead of `previous`.

        Raises SettingsError with every fault of it, and ConflictError when another one is in force by now.
        """
        registry.build(chosen)
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        change = Change(chosen.version, previous, author, reason, now_ms)
        keys = [self._keys.configuration, self._keys.configurations, self._keys.history]
        packed = msgspec.json.encode(change)
        arguments: list[str | bytes] = [previous, change.version, chosen.canonical(), packed, file]
        arguments += [self._keys.notices, CONFIGURATION_NOTICE]
        instead: bytes = self._configure(keys=keys, args=arguments)
        if instead:
            raise ConflictError(f"version {instead.decode()} is in force by now, not {previous}; look and try again")
        return change

    def pause_strategy(self, name: str, reason: str, author: str, pool: str = "") -> Change | None:
        """Switch a strategy off by an audited change; return the change, or None if it was off already.

        The one way for code to do it. An off strategy is not run: events pass it by and its states stand still, so
        that what it raises or does to its process ends with the next batch of each lane (a batch in flight keeps the
        configuration that it was sent with). It stays off, over restarts and edits of the strategies file, until
        somebody calls `strategies resume NAME`. In asyncio use `ingest.inforce.InForce.pause_strategy`.

        `name` is the name that its signals carry, or that of the strategies file; `author` is who decided, for
        `strategies history`, such as "breaker". With `pool`, it goes on in its other pools. Raises SettingsError:
        there is no such strategy; LedgerError: nothing is in force yet, or others kept changing it; and what Redis
        raises.
        """
        for _ in range(TRIES):
            old = self.in_force()
            new = edits.apply(old, name, {"gate.off": True}, pool)
            if new.version == old.version:
                return None
            with suppress(ConflictError):
                return self.put(new, old.version, author, reason)
        raise ConflictError(f"{name} could not be switched off: others change the configuration all the time")

    def in_force(self) -> Configuration:
        """Return the configuration in force. Raises LedgerError: there is none yet."""
        version = self.version()
        if not version:
            raise LedgerError("no configuration is in force yet: ingest has never run in this NAMESPACE")
        return self.read(version)

    def adopt(self, chosen: Configuration) -> Configuration:
        """Give what is in force; the file's `chosen` if there is nothing, or if the file is another by now.

        Partitions and symbols of pools are the file's: they are fixed for the life of ingest.
        """
        version, file = self.version(), self._field(self._keys.configuration, "file").decode()
        if version and file == chosen.version:
            return self.read(version)
        reason = "the strategies file was edited" if version else "first start"
        self.put(chosen, version, "strategies file", reason, chosen.version)
        return chosen
