"""The layout that a ledger holds, read when an epoch begins."""

from typing import Any

from redis.asyncio import Redis

from tasks.errors import SettingsError
from tasks.ledger import LedgerKeys


async def read_layout(client: Redis, keys: LedgerKeys) -> bytes:
    """Return the stored layout; empty: there is none. Raises SettingsError: the ledger is being moved; what Redis raises."""
    async with client.pipeline(transaction=False) as pipe:
        pipe.get(keys.layout)
        pipe.exists(keys.moving)
        found: list[Any] = await pipe.execute()
    layout, is_moving = found
    if is_moving:
        raise SettingsError(
            f"the ledger is being moved to other servers ({keys.moving}): "
            "finish that with the same command (`./run ingest move-ledger --help`)"
        )
    return layout or b""
