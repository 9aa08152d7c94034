"""What a delivery needs of whatever takes its signals to the receiver."""

from typing import Protocol

from tasks.deliver.signal_fields import SignalFields


class Sink(Protocol):
    """Takes signals to a receiver, one at a time."""

    async def open(self) -> None:
        """Get ready. Raises SettingsError: the settings can't be used."""

    async def send(self, signal: SignalFields, packed: bytes) -> None:
        """Return once the receiver has the signal, of which `packed` is the contract's JSON.

        Raises HeldUpError: it may take it later; RefusedError: it never will.
        """

    async def close(self) -> None:
        """Let go of the receiver."""
