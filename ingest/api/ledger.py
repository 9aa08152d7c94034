"""The API's connections to the ledger: its own, because its calls may wait."""

from functools import cached_property

from tasks.ledger.configurations import ConfigurationStore
from tasks.ledger.dead_letters import DeadLetterStore
from tasks.ledger.reader import LedgerReader
from tasks.ops.states import StateStore
from tasks.settings import Settings


class ApiLedger:
    """What operations ask. Nothing connects before the first call."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.reader = LedgerReader(settings)
        self.store = ConfigurationStore(settings)
        self.letters = DeadLetterStore(self.reader)

    @cached_property
    def states(self) -> StateStore:
        """Records and states. Raises ServerUnavailableError."""
        return StateStore(self.settings)

    def now_ms(self) -> int:
        """Return Redis's clock, which dates entries."""
        return self.letters.now_ms()

    def close(self) -> None:
        """Close the connections."""
        if "states" in vars(self):
            self.states.close()
        self.store.close()
        self.reader.close()
