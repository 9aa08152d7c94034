"""What the relay needs of a ledger."""

from typing import Protocol

from redis.asyncio import Redis

from tasks.ledger.confirmation import Confirmation
from tasks.ledger.lease import Lease


class RelayedLedger(Protocol):
    """A ledger whose signals are relayed."""

    client: Redis
    #: Of the first shard, which relays.
    lease: Lease
    confirmation: Confirmation


class OtherLedger:
    """The ledger of another shard than the first."""

    def __init__(self, client: Redis, lease: Lease, confirmation: Confirmation) -> None:
        self.client, self.lease, self.confirmation = client, lease, confirmation
