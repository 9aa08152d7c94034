"""The servers of a move: a client of each, by the server's name in the plan."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from ingest.ledger.servers import Connect
from ingest.ledger_move.plan import MovePlan, server_name
from tasks.clients.redis_client import async_connection_options
from tasks.ledger import LedgerKeys
from tasks.ledger.confirmation import Confirmation
from tasks.settings import Settings

#: So many fields or entries are read, and written, at a time.
PAGE = 500


class Parties:
    """The servers that a move reads and writes; each connects at its first call."""

    def __init__(self, settings: Settings, plan: MovePlan, urls: Iterable[str], connect: Connect) -> None:
        """`urls` are those of all servers in the plan."""
        options = async_connection_options()
        self.plan, self.keys = plan, LedgerKeys(settings.namespace)
        self._clients = {
            name: connect(settings, url, **options) for name, url in {server_name(url): url for url in urls}.items()
        }
        self._celery_prefix, self._durability = settings.celery_prefix, settings.ledger_durability

    def __getitem__(self, server: str) -> Redis:
        """Return the client of a server."""
        return self._clients[server]

    @property
    def first(self) -> Redis:
        """The server that will have what belongs to no shard."""
        return self[self.plan.first]

    def suffix(self, key: str) -> str:
        """Return a key without the namespace."""
        return key.removeprefix(f"{self.keys.namespace}:")

    async def key_names(self, server: str, pattern: str = "*") -> list[str]:
        """Return the keys of the ledger on a server, sorted: all of the namespace but Celery's."""
        scanned: Any = self[server].scan_iter(match=f"{self.keys.namespace}:{pattern}", count=PAGE)
        found: set[str] = {key.decode(errors="surrogateescape") async for key in scanned}
        return sorted(name for name in found if not name.startswith(self._celery_prefix))

    async def pages(self, server: str, key: str) -> AsyncIterator[dict[str, bytes]]:
        """Yield the fields of a hash, page by page; what stays there meanwhile comes at least once."""
        cursor: Any = 0
        page: Any
        while True:
            cursor, page = await self[server].hscan(key, cursor, count=PAGE)
            yield {field.decode(errors="surrogateescape"): value for field, value in page.items()}
            if not cursor:
                return

    async def put(self, server: str, key: str, fields: Mapping[str, Any]) -> None:
        """Write fields of a hash."""
        if fields:
            await self.done(self[server].hset(key, mapping={_packed(name): value for name, value in fields.items()}))

    async def remove_fields(self, server: str, key: str, fields: Sequence[str]) -> None:
        """Remove fields of a hash."""
        for at in range(0, len(fields), PAGE):
            await self.done(self[server].hdel(key, *map(_packed, fields[at : at + PAGE])))

    async def remove_keys(self, server: str, keys: Sequence[str]) -> None:
        """Remove keys."""
        for at in range(0, len(keys), PAGE):
            await self[server].unlink(*map(_packed, keys[at : at + PAGE]))

    @staticmethod
    async def done(answer: Any) -> Any:
        """Return the answer to a command, whose type redis-py leaves open."""
        return await answer

    async def settle(self) -> None:
        """Wait until what the new servers hold is kept as LEDGER_DURABILITY asks. Raises UnconfirmedError."""
        for server in dict.fromkeys(self.plan.new):
            confirmation = Confirmation(self[server], self._durability, self.keys.moving)
            await confirmation.answer(lambda client: client.exists(self.keys.moving))

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()


def _packed(name: str) -> Any:
    """Return a name's bytes: those of a foreign one may be no UTF-8."""
    return name.encode(errors="surrogateescape")
