"""The Redis servers that one ingest process uses: its ledger, that of the first shard, broker and results, other ledgers."""

from collections.abc import Callable

from redis.asyncio import Redis

from tasks.clients.redis_client import async_connection_options
from tasks.errors import SettingsError
from tasks.settings import Settings

#: Makes a client of the server at a URL, given options of redis-py's connections.
Connect = Callable[..., Redis]


def check_ledgers(settings: Settings) -> None:
    """Raise SettingsError where LEDGER_URLS does not have a ledger for each shard."""
    ledgers, shard = settings.ledgers, settings.shard
    if len(ledgers) > 1 and len(ledgers) != shard.total:
        raise SettingsError(
            f"LEDGER_URLS names {len(ledgers)} ledgers, and INGEST_SHARD {shard} is one of {shard.total} shards: "
            "each of them needs one"
        )


class RedisServers:
    """A client of each server; it connects at its first call."""

    def __init__(self, settings: Settings, connect: Connect) -> None:
        """`connect` makes a client. Raises SettingsError: LEDGER_URLS does not have a ledger for each shard."""
        self.ledger_urls = ledgers = settings.ledgers
        shard = settings.shard
        self.shard = shard.number
        self.has_own_ledger = len(ledgers) > 1
        check_ledgers(settings)
        self.ledger_url, self.broker_url, self.results_url = (
            settings.ledger_of(shard.number),
            settings.broker,
            settings.results,
        )
        #: Of the servers to which what this shard sends is written: not the ledger of another one.
        self.written_urls = frozenset((self.ledger_url, self.broker_url, self.results_url))
        urls = self.ledger_url, settings.ledger, self.broker_url, self.results_url
        options = async_connection_options()
        #: Of those without which this shard does not work, by their URLs.
        self.by_url = {url: connect(settings, url, **options) for url in dict.fromkeys(urls)}
        #: The ledger of this shard, and that of the first, which has what belongs to no shard: configurations, workers.
        self.ledger, self.first = self.by_url[self.ledger_url], self.by_url[settings.ledger]
        self.broker = self.by_url[settings.broker]
        #: The ledgers of other shards, by their numbers: only read, and relayed from.
        self.other_ledgers = {
            number: connect(settings, url, **options)
            for number, url in enumerate(ledgers)
            if self.has_own_ledger and number != shard.number
        }

    @property
    def has_other_first(self) -> bool:
        """Whether the first shard's ledger is another one than this shard's."""
        return self.first is not self.ledger

    async def close(self) -> None:
        """Close all connections."""
        for client in (*self.by_url.values(), *self.other_ledgers.values()):
            await client.aclose()
