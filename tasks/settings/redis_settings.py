"""Settings of the connections to Redis: broker, results, and the ledger or the ledgers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from tasks.errors import LedgerError
from tasks.settings import values
from tasks.settings.nats_settings import TlsFile

RedisUrl = Annotated[str, AfterValidator(values.redis_url)]
RedisUrls = Annotated[str, AfterValidator(values.redis_urls)]
Durability = Literal["memory", "disk", "replica"]

#: May hold passwords, and can be given as NAME_FILE.
REDIS_URLS = ("redis_url", "broker_url", "result_url", "ledger_url", "ledger_urls", "ledger_from")


class RedisSettings(BaseSettings):
    """The part of the settings that says where Redis is, what lets us in, and when a commit counts."""

    redis_url: RedisUrl = Field(
        "redis://127.0.0.1:6379/0",
        description="broker, results and ledger, unless split below; rediss:// uses TLS; unix:///run/redis.sock?db=0 uses a local "
        "socket; sentinel://HOST:26379;sentinel://HOST:26379 asks Sentinels; sentinels:// asks them over TLS",
    )
    broker_url: RedisUrl = Field("", description="Celery's broker; default REDIS_URL")
    result_url: RedisUrl = Field("", description="Celery's results; default REDIS_URL")
    ledger_url: RedisUrl = Field("", description="our ledger; default REDIS_URL")
    ledger_urls: RedisUrls = Field(
        "", description="the ledger of each shard of ingest, with blanks between, instead of LEDGER_URL"
    )
    ledger_from: RedisUrls = Field(
        "", description="of `ingest move-ledger`: where the ledger is now, with blanks between several"
    )
    ledger_durability: Durability = Field(
        "memory", description="what is committed counts at once, once it is on Redis's disk, or once a replica has it"
    )
    redis_sentinel_master: str = Field("mymaster", min_length=1, description="name of the master at the Sentinels")
    redis_sentinel_password: str = Field("", description="password of the Sentinels themselves, if they have one")
    redis_tls_ca: TlsFile = Field("", description="rediss://, sentinels://: file of the CA to trust, not the system's")
    redis_tls_cert: TlsFile = Field(
        "", description="rediss://, sentinels://: file of our certificate; needs REDIS_TLS_KEY"
    )
    redis_tls_key: TlsFile = Field("", description="rediss://, sentinels://: file of the certificate's key")

    @property
    def broker(self) -> str:
        """URL of Celery's broker."""
        return self.broker_url or self.redis_url

    @property
    def results(self) -> str:
        """URL of Celery's result store."""
        return self.result_url or self.redis_url

    @property
    def ledgers(self) -> tuple[str, ...]:
        """URLs of the ledgers: one, or that of each shard in their order."""
        return tuple(self.ledger_urls.split()) or (self.ledger_url or self.redis_url,)

    @property
    def ledger(self) -> str:
        """URL of the ledger, or of the first one, which holds what belongs to no shard."""
        return self.ledgers[0]

    def ledger_of(self, shard: int) -> str:
        """Return the URL of the ledger of a shard. Raises LedgerError: LEDGER_URLS has none for it."""
        urls = self.ledgers
        if len(urls) == 1:
            return urls[0]
        if shard >= len(urls):
            raise LedgerError(f"LEDGER_URLS names {len(urls)} ledgers, none for shard {shard}")
        return urls[shard]
