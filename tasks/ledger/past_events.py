"""Whether the ledger has seen an event: asked before a recording is replayed into it."""

from contextlib import suppress

from tasks.clients.redis_client import connect, connection_options
from tasks.errors import UNREADABLE
from tasks.events import AnyEvent
from tasks.ledger.keys import LedgerKeys
from tasks.protocol import records
from tasks.settings import Settings


def is_past(settings: Settings, event: AnyEvent) -> bool:
    """Whether any pool has seen this event already. Raises what `FAILED` names when Redis is unavailable."""
    return any(_is_past(settings, url, event) for url in settings.ledgers)


def _is_past(settings: Settings, url: str, event: AnyEvent) -> bool:
    keys = LedgerKeys(settings.namespace)
    with connect(settings, url, **connection_options()) as client:
        for pool in client.scan_iter(match=f"{keys.pool('*')}"):
            # A worker replaces a record that can't be read, and says so.
            with suppress(*UNREADABLE):
                packed = client.hget(pool, records.field(event))
                if packed and records.unpack(packed).classify(event, "") == "repeat":
                    return True
    return False
