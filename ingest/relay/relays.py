"""The relays of all ledgers, in the process that leads the first shard."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from ingest.relay.relay import Relay

#: Runs a step at the ledger of another shard, if it is that; it may be unavailable while the others are not.
Attempt = Callable[[int, Callable[[], Awaitable[None]]], Awaitable[None]]


class Relays:
    """One relay for each ledger."""

    def __init__(self, relays: Mapping[int, Relay], attempt: Attempt) -> None:
        """Take them by the shard whose ledger they read; the first shard's is this process's own."""
        self._relays, self._attempt = relays, attempt
        #: What runs again and again, by its name.
        self.steps: Mapping[str, Callable[[], Awaitable[None]]] = {
            f"relay_{number}": partial(attempt, number, relay.run) if number else relay.run
            for number, relay in relays.items()
        }

    @property
    def waits_for_streams(self) -> bool:
        """Whether signals wait that a stream did not take: it may be full, or without a leader for a moment."""
        return any(relay.waits_for_streams for relay in self._relays.values())

    async def drain(self) -> bool:
        """Relay until nothing is left but what NATS does not take; return whether nothing is."""
        return all([await self._drain(number, relay) for number, relay in self._relays.items()])

    async def _drain(self, number: int, relay: Relay) -> bool:
        """Drain one; that of another shard's ledger may fail for itself."""
        if not number:
            return await relay.drain()
        drained = False

        async def drain() -> None:
            nonlocal drained
            drained = await relay.drain()

        await self._attempt(number, drain)
        return drained
