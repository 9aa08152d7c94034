"""Configurations in force: which one, since when, by whom and why. Changed by compare-and-set, never overwritten.

What is in force is the strategies file with an overlay over it: the values that were set at run time (`overlay.py`).
They outlive restarts and edits of the file. What stands in Redis under a version is always the whole of it, merged.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis

from tasks import configuration
from tasks.clients.redis_client import connect, connection_options
from tasks.configuration import Configuration, aliases, named_strategies, overlay, registry
from tasks.configuration.history import FILE, ConfigurationChange, HistoryReplay
from tasks.configuration.overlay import Overlay
from tasks.configuration.overlay_derived import derived
from tasks.configuration.stored import StoredConfiguration, kept_overlay, pack_overlay
from tasks.errors import LedgerError, NotFoundError, NothingInForceError, SettingsError
from tasks.ledger.aliases import AliasStore
from tasks.ledger.change_log import ChangeLog
from tasks.ledger.keys import LedgerKeys
from tasks.ledger.known_configurations import KnownConfigurations, in_force, lost_in_force
from tasks.ledger.lua import script
from tasks.protocol.notice import CONFIGURATION_NOTICE
from tasks.settings import Settings

#: How often a change that does not depend on others is tried while others change something.
TRIES = 10


class ConflictError(LedgerError):
    """Somebody else changed the configuration meanwhile; nothing was changed. Look at it and try again."""


class ConfigurationInForce(NamedTuple):
    """The configuration in force: the merged one, and the parts that it was made of."""

    stored: StoredConfiguration
    configuration: Configuration
    #: The strategies file that ingest has read last.
    file: Configuration
    overlay: Overlay


class EditResult(NamedTuple):
    """Result of an edit: the configuration before and after it, and the change, if there was one."""

    old: ConfigurationInForce
    new: Configuration
    overlay: Overlay
    #: None: there was nothing to change.
    change: ConfigurationChange | None


#: Given what is in force, returns the values to set.
Wanted = Callable[[ConfigurationInForce], Overlay]
#: Given what is in force, raises what is to keep an edit from being made.
Precondition = Callable[[ConfigurationInForce], None]


def _any(_: ConfigurationInForce) -> None:
    """Accept whatever is in force."""


def read_file(path: Path) -> Configuration:
    """Return the configuration of a strategies file, after importing and making every strategy that it names.

    Raises SettingsError, one message with every fault.
    """
    chosen = configuration.read(path)
    registry.build(chosen)
    return chosen


def _replaced(old: ConfigurationInForce, values: Overlay) -> EditResult:
    """Return the edit that has these values, and no others, lie over the strategies file. Raises SettingsError."""
    return EditResult(old, overlay.merge(old.file, values, registry.build).configuration, values, None)


class ConfigurationStore:
    """Reads and changes the configurations in the ledger."""

    def __init__(self, settings: Settings, connect: Callable[..., redis.Redis] = connect) -> None:
        """`connect` makes the client of a server."""
        self._client = connect(settings, settings.ledger, **connection_options())
        self._keys = LedgerKeys(settings.namespace)
        self._configure = self._client.register_script(script("configure"))
        self.changes = ChangeLog(self._client, self._keys)
        self.aliases = AliasStore(self._client, self._keys.configuration)
        #: Those that this process puts in force or finds in force.
        self.known = KnownConfigurations(self._client, self._keys.configurations)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def version(self) -> str:
        """Return the version in force; empty when there is none yet."""
        return self.stored().version

    def stored(self) -> StoredConfiguration:
        """Return the configuration in force as stored in the ledger."""
        values: Any = self._client.hmget(self._keys.configuration, "version", "file", "overlay", "aliases")
        return StoredConfiguration.of(*values)

    def read(self, version: str) -> Configuration:
        """Return a configuration. Raises NotFoundError when the ledger does not hold it, and LedgerError."""
        packed: Any = self._client.hget(self._keys.configurations, version)
        if not packed:
            lists = "`./run tasks strategies history` lists them"
            raise NotFoundError(f"the ledger holds no configuration {version!r} ({self._keys.configurations}); {lists}")
        return Configuration.parse_as(version, packed)

    def in_force(self) -> ConfigurationInForce:
        """Return what is in force. Raises NothingInForceError, and LedgerError."""
        stored = self.stored()
        if not stored.version:
            raise NothingInForceError("no configuration is in force yet: ingest has never run in this NAMESPACE")
        merged = in_force(self.read, stored, self._keys)
        merged, file = aliases.restored(stored.aliases, merged, self._file(stored, merged))
        return ConfigurationInForce(stored, merged, file, self._overlay(stored, file))

    def _file(self, stored: StoredConfiguration, otherwise: Configuration) -> Configuration:
        """Return the strategies file under what is in force; where the ledger has lost it, what stands in for it."""
        with suppress(LedgerError):
            return self.read(stored.file)
        return otherwise

    def _overlay(self, stored: StoredConfiguration, file: Configuration) -> Overlay:
        """Return the overlay in force; for what an earlier release has changed, the difference from the file."""
        kept = kept_overlay(stored)
        if kept is not None:
            return kept
        with suppress(LedgerError):
            return derived(file, self.read(stored.version))
        raise lost_in_force(stored, self._keys)

    def history(self) -> list[ConfigurationChange]:
        """Return all changes, oldest first. Raises UnreadableEntryError."""
        return self.changes.oldest_first()

    def write(
        self,
        instead_of: StoredConfiguration,
        chosen: Configuration,
        values: Overlay,
        author: str,
        reason: str,
        *,
        file: Configuration | None = None,
        restores: str = "",
    ) -> ConfigurationChange:
        """Put a configuration in force, with the runtime values in it; `file` is a new strategies file.

        Whether strategies take it is not tried here. Raises ConflictError when another one is in force by now.
        """
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        taken = file.version if file else ""
        change = ConfigurationChange(
            chosen.version, instead_of.version, author, reason, now_ms, values, taken, restores
        )
        keys = [self._keys.configuration, self._keys.configurations, self._keys.history]
        arguments: list[str | bytes] = [instead_of.version, change.version, chosen.stored()]
        arguments += [msgspec.json.encode(change), taken, self._keys.notices, CONFIGURATION_NOTICE]
        arguments += [instead_of.overlay, pack_overlay(change.version, values)]
        arguments += [file.stored() if file else b""]
        instead: bytes | None = self._configure(keys=keys, args=arguments)
        if instead is not None:
            by_now = f"version {instead.decode()} is in force by now, not {instead_of.version}"
            raise ConflictError(f"somebody else changed the configuration ({by_now}); look and try again")
        return change

    # At run time

    def set(self, wanted: Wanted, reason: str, author: str) -> EditResult:
        """Set values at run time; `wanted` is given what is in force, again when others were quicker.

        Raises SettingsError with every fault of the values; NothingInForceError; ConflictError: others changed the
        configuration all the time; and what `wanted` raises.
        """
        for _ in range(TRIES):
            with suppress(ConflictError):
                return self._write(self.preview(wanted), reason, author)
        raise ConflictError("others change the configuration all the time; nothing was changed")

    def preview(self, wanted: Wanted) -> EditResult:
        """Return what `set` would do, and change nothing. Raises the same."""
        old = self.in_force()
        values = wanted(old)
        new = overlay.applied(old.configuration, values)
        if not all(value.is_switch for value in values):
            # Switches need no try: a kill must also work where a strategy's module can't be imported.
            registry.build(new)
        return EditResult(old, new, overlay.recorded(old.overlay, old.file, values), None)

    def _write(self, edit: EditResult, reason: str, author: str, restores: str = "") -> EditResult:
        old, new, values, _ = edit
        if new.version == old.stored.version and values == old.overlay:
            return edit
        return edit._replace(change=self.write(old.stored, new, values, author, reason, restores=restores))

    def pause_strategy(self, name: str, reason: str, author: str, pool: str = "") -> ConfigurationChange | None:
        """Switch a strategy off by an audited change; return the change, or None if it was off already.

        The one way for code to do it. An off strategy is not run: it gets no events and its states stand still, so
        that what it raises or does to its process ends with the next batch of each lane (a batch in flight keeps the
        configuration that it was sent with). It stays off, over restarts and edits of the strategies file, until
        somebody calls `strategies resume NAME`. In asyncio use
        `ingest.dispatch.active_configuration.ActiveConfiguration.pause_strategy`.

        `name` is the name that its signals carry, or that of the strategies file; `author` is who decided, for
        `strategies history`, such as "breaker". With `pool`, it goes on in its other pools. Raises SettingsError:
        there is no such strategy; LedgerError: nothing is in force yet, or others kept changing it; and what Redis
        raises.
        """

        def off(now: ConfigurationInForce) -> Overlay:
            return named_strategies.values(now.configuration, name, {"gate.off": True}, pool)

        return self.set(off, reason, author).change

    def reset(self, key: str, reason: str, author: str, check: Precondition = _any) -> EditResult:
        """Remove what was set at run time for a key, or for all of a strategy; for an empty key, all of it.

        Raises SettingsError: nothing of the kind is set; ConflictError; LedgerError; and what `check` raises.
        """

        def kept(old: ConfigurationInForce) -> Overlay:
            check(old)
            named = aliases.replaced(old.configuration, key)
            dropped = [each for each in old.overlay if not key or each.named(named, registry.run_name(each.strategy))]
            if key and not dropped:
                known = ", ".join(value.label for value in old.overlay)
                raise SettingsError(
                    f"nothing is set at run time for {key!r}; "
                    + (f"set are: {known}" if known else "nothing is set at all")
                )
            return tuple(value for value in old.overlay if value not in dropped)

        return self.replace(kept, reason or f"reset {key or '--all'}", author)

    def replace(self, wanted: Wanted, reason: str, author: str) -> EditResult:
        """Set the wanted values at run time and no others: what else was set is dropped.

        Raises SettingsError; ConflictError; NothingInForceError; and what `wanted` raises.
        """
        old = self.in_force()
        return self._write(_replaced(old, wanted(old)), reason, author)

    def rollback(
        self, version: str, reason: str, author: str, check: Precondition = _any
    ) -> tuple[EditResult, ConfigurationChange | None]:
        """Undo the newest change at run time that is in force; or bring back all that was set at run time in a version.

        `version` may be the entry of a change, too. Either way today's strategies file lies under it. Returns the undone
        change too, None with a `version`. Raises LedgerError: there is nothing to go back to; NotFoundError;
        ConflictError; SettingsError; and what `check` raises.
        """
        old, replay = self.in_force(), HistoryReplay(self.history())
        check(old)
        undone, target = (None, replay.find(version)) if version else replay.undone()
        edit = _replaced(old, self.runtime_values(replay, target))
        reason = reason or (f"undoes {undone.version}" if undone else f"back to {target.version}")
        return self._write(edit, reason, author, target.entry), undone

    def runtime_values(self, replay: HistoryReplay, change: ConfigurationChange) -> Overlay:
        """Return all that was set at run time after a change. Raises LedgerError: the ledger has lost it."""
        if change.overlay is not None:
            return change.overlay
        return derived(self.read(replay.file(change)), self.read(change.version))

    # By ingest

    def adopt(self, chosen: Configuration) -> ConfigurationInForce:
        """Put the strategies file in force, with what was set at run time over it, if it is not; return what is.

        Raises ConflictError.
        """
        stored = self.stored()
        values: Overlay = ()
        is_new = stored.file != chosen.version
        if stored.version:
            file = self._file(stored, chosen)
            is_new = is_new or file.stored() != chosen.stored()
            # Where it is lost, all that is in force counts as set at run time, rather than that a kill is lost.
            values = self._overlay(stored, file)
        merged = overlay.merge(chosen, values, registry.build).configuration
        if is_new or stored.version != merged.version:
            reason = "first start" if not stored.version else "the strategies file was edited"
            if not is_new:
                reason = "what fits the strategies file has changed"
            change = self.write(stored, merged, values, FILE, reason, file=chosen)
            stored = StoredConfiguration(change.version, chosen.version, pack_overlay(change.version, values))
        stored = stored._replace(aliases=self.aliases.keep(chosen, stored.aliases))
        return ConfigurationInForce(stored, merged, chosen, values)
