"""The configuration in force, as ingest knows it: batches name it, workers fetch it."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import structlog

from tasks.configuration import Configuration, named_strategies
from tasks.configuration.history import INGEST, ConfigurationChange
from tasks.configuration.overlay import Overlay
from tasks.configuration.overlay_findings import runtime_values
from tasks.configuration.stored import StoredConfiguration
from tasks.ledger.configurations import TRIES, ConfigurationStore, ConflictError
from tasks.protocol.findings import Finding

log = structlog.get_logger()


class ActiveConfiguration:
    """The configuration under which the next batches are sent."""

    def __init__(self, store: ConfigurationStore, file: Configuration) -> None:
        """Begin with the strategies file; what the ledger says comes with `refresh`. `store` is closed with it."""
        self._store = store
        self._file = file
        self._adopted = False
        #: What stood in the ledger when it was read last.
        self._stored = StoredConfiguration("", "", b"")
        #: One at a time asks: of two, the one that read earlier could be the one to end later.
        self._asking = asyncio.Lock()
        self._overlay: Overlay = ()
        self._findings: list[Finding] = []
        self.configuration = file
        #: Its content hash, kept because every batch names it.
        self.version = file.version
        #: Gates of its strategies by the name that signals carry, and by pool.
        self.gates = named_strategies.strategy_gates(file)

    def close(self) -> None:
        """Close the connections to the ledger."""
        self._store.close()

    async def refresh(self) -> None:
        """Read the configuration in force from the ledger. Raises what Redis raises, SettingsError and LedgerError."""
        async with self._asking:
            await self._refresh()

    async def _refresh(self) -> None:
        before = self.version
        self.configuration, overlay = await asyncio.to_thread(self._read_in_peace)
        if overlay != self._overlay:
            self._overlay = overlay
            self._findings = await asyncio.to_thread(self._check, overlay)
        self.version = self.configuration.version
        if self.version != before:
            self.gates = await asyncio.to_thread(named_strategies.strategy_gates, self.configuration)
            log.info("another configuration is in force", version=self.version, before=before)

    async def restore(self) -> None:
        """Write back what the ledger has lost of the configurations that batches may name. Raises what Redis raises."""
        await asyncio.to_thread(self._restore)

    def _restore(self) -> None:
        for version in self._store.known.restore():
            log.warning("the ledger had lost a configuration: it is written back", version=version)

    def findings(self) -> Iterable[Finding]:
        """Return what was set at run time and is at odds with the strategies file."""
        return self._findings

    async def pause_strategy(self, name: str, reason: str, author: str, pool: str = "") -> ConfigurationChange | None:
        """Switch a strategy off by an audited change, as `ConfigurationStore.pause_strategy` does, from the next batches on.

        Raises the same.
        """
        change = await asyncio.to_thread(self._store.pause_strategy, name, reason, author, pool)
        await self.refresh()
        return change

    async def history(self) -> list[ConfigurationChange]:
        """Return all changes, oldest first. Raises what Redis raises, and UnreadableEntryError."""
        return await asyncio.to_thread(self._store.history)

    def _check(self, overlay: Overlay) -> list[Finding]:
        return list(runtime_values(self._file, overlay))

    def _read_in_peace(self) -> tuple[Configuration, Overlay]:
        for _ in range(TRIES):
            # Who is overtaken looks again: nothing may run that does not know of a kill.
            with suppress(ConflictError):
                found, overlay = self._read()
                self._store.known.remember(found)
                return found, overlay
        raise ConflictError("the configuration kept changing and could not be read; retrying")

    def _read(self) -> tuple[Configuration, Overlay]:
        if not self._adopted:
            # Before it is adopted, the file may be another one than what is in force.
            stored = self._store.stored()
            if self._file.version in {stored.version, stored.file}:
                self._store.known.remember(self._file)
            self._restore()
            adopted = self._store.adopt(self._file)
            self._adopted = True
            self._store.known.remember(self._file)
            self._stored = adopted.stored
            return adopted.configuration, adopted.overlay
        stored = self._store.stored()
        if stored == self._stored:
            # Nothing else is needed: what the ledger has lost meanwhile does not stop the one who knows it.
            return self.configuration, self._overlay
        if not stored.version:
            # All of it goes back as it was, so that a kill outlives a Redis that was emptied.
            nothing, lost = StoredConfiguration("", "", b""), "Redis had lost it"
            again = self.configuration, self._overlay
            self._store.write(nothing, *again, INGEST, lost, file=self._file)
            self._store.aliases.keep(self._file, nothing.aliases)
            return again
        self._restore()
        found = self._store.in_force()
        self._stored = found.stored
        return found.configuration, found.overlay
