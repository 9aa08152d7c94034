"""The configuration in force, as ingest knows it: batches name it, workers fetch it."""

import asyncio

import structlog

from tasks.changes import Change, Changes, ConflictError
from tasks.configuration import Configuration
from tasks.settings import Settings

log = structlog.get_logger()


class InForce:
    """What the next batches run under."""

    def __init__(self, settings: Settings, file: Configuration) -> None:
        """Begin with the strategies file; what the ledger says comes with `refresh`."""
        self._changes = Changes(settings)
        self._file = file
        self._adopted = False
        self.configuration = file
        #: Its content hash, kept because every batch names it.
        self.version = file.version

    async def refresh(self) -> None:
        """Ask the ledger what is in force. Raises what Redis raises, and SettingsError."""
        before = self.version
        self.configuration = await asyncio.to_thread(self._refresh)
        self.version = self.configuration.version
        if self.version != before:
            log.info("another configuration is in force", version=self.version, before=before)

    async def pause_strategy(self, name: str, reason: str, author: str, pool: str = "") -> Change | None:
        """Switch a strategy off by an audited change, as `Changes.pause_strategy` does; the next batches know of it.

        Raises the same.
        """
        change = await asyncio.to_thread(self._changes.pause_strategy, name, reason, author, pool)
        await self.refresh()
        return change

    def _refresh(self) -> Configuration:
        try:
            if not self._adopted:
                adopted = self._changes.adopt(self._file)
                self._adopted = True
                return adopted
            version = self._changes.version()
            if not version:
                self._changes.put(self.configuration, "", "ingest", "Redis had lost it", self._file.version)
                return self.configuration
            return self.configuration if version == self.version else self._changes.read(version)
        except ConflictError:
            # Somebody changed it between two lines of this function; that was announced, and leads here again.
            return self.configuration
