"""The layout that a ledger holds, read before anything is written, and when an epoch begins."""

from typing import Any

from ingest.lanes.layout import Layout
from ingest.ledger.servers import RedisServers
from tasks.ledger import LedgerKeys
from tasks.protocol.routing import Router


async def checked_layout(servers: RedisServers, keys: LedgerKeys, router: Router) -> Layout:
    """Return the layout of a shard's lanes once it may begin with it: a server that a move has left stays as it is.

    Raises as `read_layout`.
    """
    layout = Layout(router, has_own_ledger=servers.has_own_ledger)
    await read_layout(servers, keys, layout)
    return layout


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
