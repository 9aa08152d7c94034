"""Signals in the dialect of petrosa's services, under the aliases that the ledger has for their strategies."""

import asyncio
import time
from typing import NamedTuple

from tasks.clients.redis_client import FAILED, reason
from tasks.deliver.answers import HeldUpError
from tasks.deliver.signal_fields import SignalFields
from tasks.errors import LedgerError
from tasks.ledger.configurations import ConfigurationStore
from tasks.protocol import petrosa
from tasks.settings import Settings
from tasks.telemetry import trace_context

#: For so long the aliases are believed.
KNOWN_S = 10.0


class Intent(NamedTuple):
    """A signal as petrosa's services take it."""

    #: By which they know the strategy.
    name: str
    packed: bytes


class PetrosaDialect:
    """Writes signals as petrosa's services take them."""

    def __init__(self, settings: Settings, *, revisions: bool = False) -> None:
        """`revisions` has each intent name its strategy's."""
        self._store, self._revisions = ConfigurationStore(settings), revisions
        #: By the name that signals carry; and until when they are believed.
        self._aliases: dict[str, str] = {}
        self._until_s = 0.0

    async def intent(self, signal: SignalFields, packed: bytes) -> Intent:
        """Return a signal as an intent. Raises HeldUpError: what the ledger has to say for it can't be read."""
        try:
            name = await self._name(signal.strategy)
        except LedgerError as error:
            raise HeldUpError(str(error)) from None
        except FAILED as error:
            raise HeldUpError(f"the aliases of strategies can't be read: {reason(error)}") from None
        revision = signal.revision if self._revisions else ""
        return Intent(name, petrosa.intent(packed, name, trace_context.headers(signal.trace), revision))

    async def _name(self, strategy: str) -> str:
        if time.monotonic() >= self._until_s:
            found = await asyncio.to_thread(self._store.aliases.read)
            self._aliases = {signals: alias for alias, each in found.items() for signals in each.signals}
            self._until_s = time.monotonic() + KNOWN_S
        return self._aliases.get(strategy, strategy)

    def close(self) -> None:
        """Close the connections."""
        self._store.close()
