"""The layout that a ledger holds, read when an epoch begins."""

from typing import Any

from ingest.lanes.layout import Layout
from ingest.ledger.servers import RedisServers
from tasks.ledger import LedgerKeys


async def read_layout(servers: RedisServers, keys: LedgerKeys, layout: Layout) -> bytes:
    """Return the stored layout, under which this shard may begin with `layout`; empty: there is none.

    Raises SettingsError: it may not; LedgerError: there is something else; and what Redis raises.
    """
    stored: Any = await servers.ledger.get(keys.layout) or b""
    layout.check_ledger(stored, keys.layout)
    if servers.has_other_first and not stored:
        of_first: Any = await servers.first.get(keys.layout)
        layout.check_first(of_first or b"")
    return stored  # type: ignore[no-any-return]  # bytes, since responses are not decoded
