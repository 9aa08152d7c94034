"""Every setting of every process, from the environment. `./run tasks config show` prints what is in force.

Any secret NAME can also be given as NAME_FILE, the path of a file that holds it.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, WrapValidator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tasks.errors import SettingsError
from tasks.protocol.routing import Shard
from tasks.settings import delivery, environment, groups, validation, values
from tasks.settings.masking import mask
from tasks.settings.nats_settings import NatsSettings
from tasks.settings.redis_settings import REDIS_URLS, RedisSettings
from tasks.settings.secret_files import SecretFiles

Port = Annotated[int, Field(ge=0, le=65_535)]
WebsocketUrl = Annotated[str, AfterValidator(values.websocket_url)]
HttpUrl = Annotated[str, AfterValidator(values.http_url)]
LinkUrl = Annotated[str, AfterValidator(values.link_url)]
StreamName = Annotated[str, Field(pattern=r"^[\w-]+$", max_length=64), WrapValidator(values.told_as(r"^[\w-]{1,64}$"))]
Namespace = Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=64), WrapValidator(values.told_as(r"^[\w.-]{1,64}$"))]

#: Can be given as NAME_FILE.
SECRETS = (
    "nats_url", *REDIS_URLS, "nats_password", "nats_token", "nats_nkey", "nats_credentials", "redis_sentinel_password",
    "api_token", *delivery.DELIVERY_SECRETS,
)  # fmt: skip
_BINANCE_URLS = (
    "binance_spot_url", "binance_usdm_depth_url", "binance_usdm_trade_url", "binance_usdm_market_url",
    "binance_coinm_url", "binance_spot_rest_url", "binance_usdm_rest_url",
)  # fmt: skip
#: May hold passwords: are shown without them.
_URLS = ("nats_url", *REDIS_URLS, "flower_url", "grafana_url", *_BINANCE_URLS)


class Settings(NatsSettings, RedisSettings):
    """The settings; each field is an environment variable of the same name in upper case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, allow_inf_nan=False)

    ingest_source: Literal["core", "jetstream"] = Field(
        "core", description="where frames come from: NATS as it is, or a JetStream stream, of which nothing is lost"
    )
    ingest_start: Literal["new", "first"] = Field(
        "new", description="jetstream: where the first start ever begins, at the stream's end or at its first message"
    )
    ingest_stream: StreamName = Field("FRAMES", description="jetstream: name of the stream")
    ingest_stream_max_age_s: float = Field(
        86_400, ge=60, description="jetstream: how long a stream made by ingest keeps a frame"
    )
    ingest_stream_max_bytes: int = Field(
        2 * 2**30, ge=2**20, description="jetstream: how much a stream made by ingest keeps"
    )
    ingest_stream_replicas: Annotated[Literal[1, 3, 5], BeforeValidator(values.digit)] = Field(
        1, description="jetstream: on how many servers a stream made by ingest is kept"
    )
    ingest_shard: Annotated[str, AfterValidator(values.shard)] = Field(
        "0/1", description="which ingest process of how many this is: 0/2 and 1/2 share the lanes"
    )
    ingest_lane_bytes: int = Field(64 * 2**20, ge=2**20, description="bound of the events that wait in one lane")
    ingest_total_bytes: int = Field(256 * 2**20, ge=2**20, description="bound of the events that wait in all lanes")
    ingest_max_wait_s: float = Field(0, ge=0, description="core: events waiting longer are dropped, counted; 0: never")
    ingest_redis_full: float = Field(
        0.9, ge=0, le=1, description="above this share of Redis's maxmemory no new batches go out; 0: they always do"
    )
    ingest_allow_eviction: bool = Field(default=False, description="start although Redis may delete keys of the ledger")
    max_clock_lead_s: float = Field(
        60, ge=0, le=86_400, description="frames whose time is further ahead of their receipt are refused; 0: none"
    )
    max_book_jump: float = Field(
        0.2, ge=0, le=100, description="books further than this share from trades and books before are refused; 0: none"
    )
    allowed_symbols: Annotated[str, AfterValidator(values.names)] = Field(
        "", description="frames of other symbols than these, with commas between, are refused; default: of none"
    )
    ingest_max_symbols: int = Field(10_000, ge=0, description="frames of further symbols are refused; 0: of none")
    ingest_drain_s: float = Field(20, ge=0, le=3600, description="how long a stop waits for what is in flight")
    feed_quiet_warn_s: float = Field(5.0, gt=0, description="seconds: the page warns when the newest event is older")
    feed_quiet_s: float = Field(
        30.0, gt=0, description="seconds: the feed counts as quiet when the newest event is older"
    )
    run_limit_s: float = Field(20, ge=1, le=3600, description="a batch that runs longer ends with its worker process")
    small_results_per_s: int = Field(
        10, ge=0, description="results of tasks below 100 events that a process stores a second"
    )
    namespace: Namespace = Field("rs", description="prefix of every Redis key of ours")
    strategies_file: Path = Field(
        Path(__file__).parents[1] / "strategies.toml", description="pools, strategies and their parameters"
    )
    strategies_path: str = Field(
        "",
        description="folders to import strategies from, with : between, after the strategies file's; default: the current one",
    )
    strategies_modules: str = Field(
        "",
        description="modules outside of these folders that strategies may be imported from, with , between; those that STRATEGIES_FILE names need not be",
    )
    http_host: str = Field("127.0.0.1", description="where /healthz, /ready and /metrics listen")
    http_allowed_hosts: Annotated[str, AfterValidator(values.host_names)] = Field(
        "",
        description="names that requests may call these endpoints by, beside IP addresses, localhost and the machine's name; *.NAME and * too",
    )
    http_port: Port = Field(8080, description="port of ingest's endpoints; 0 takes a free one")
    worker_http_port: Port = Field(8081, description="port of a worker's endpoints; 0 takes a free one")
    metrics_strict_port: bool = Field(
        default=False, description="fail when the port is taken, rather than use a free one"
    )
    api_token: Annotated[str, AfterValidator(values.api_tokens)] = Field(
        "", description="switches ingest's HTTP API on: one token, or NAME:TOKEN for each caller, with blanks between"
    )
    api_identity_header: Annotated[str, AfterValidator(values.header_name)] = Field(
        "", description="HTTP API: header in which a proxy names its caller; needs API_TRUSTED_PROXIES"
    )
    api_trusted_proxies: Annotated[str, AfterValidator(values.networks)] = Field(
        "", description="HTTP API: networks of the proxies whose API_IDENTITY_HEADER is believed, with commas between"
    )
    signal_subject: Annotated[str, AfterValidator(values.signal_subject)] = Field(
        "signals.{strategy}.{symbol}", description="NATS subject of a signal"
    )
    signal_max_age_s: float = Field(300, ge=0, description="older signals are held back; 0 relays all")
    signals_keep: int = Field(1_000_000, ge=1, description="how many relayed signals the stream keeps")
    flower_url: LinkUrl = Field("", description="where Flower is, for the page's link to it")
    grafana_url: LinkUrl = Field("", description="where Grafana is, for the page's link to it")
    expected_returns_file: str = Field(
        "", description="what a backtest wrote with --returns, for the page to show beside the live figures"
    )
    research_dir: str = Field(
        "",
        description="folder of the recordings that sweeps prepared; default: realtime-strategies/research in the cache",
    )
    research_cache_mib: int = Field(
        10_240, ge=1, description="MiB that prepared recordings may take; the least recently used are removed"
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(values.upper)] = Field(
        "INFO", description="least severity that is logged"
    )
    log_format: Literal["json", "console", ""] = Field("", description="json, or console; default: by the terminal")
    binance_spot_url: WebsocketUrl = Field("wss://data-stream.binance.vision/stream", description="spot websocket")
    binance_usdm_depth_url: WebsocketUrl = Field(
        "wss://fstream.binance.com/public/stream", description="USD-M futures: books and best quotes"
    )
    binance_usdm_trade_url: WebsocketUrl = Field(
        "wss://fstream.binance.com/public/stream", description="USD-M futures: trades"
    )
    binance_usdm_market_url: WebsocketUrl = Field(
        "wss://fstream.binance.com/market/stream",
        description="USD-M futures: aggregate trades, candles, mark prices, liquidations",
    )
    binance_coinm_url: WebsocketUrl = Field("wss://dstream.binance.com/stream", description="COIN-M futures websocket")
    binance_spot_rest_url: HttpUrl = Field(
        "https://api.binance.com/api/v3/depth", description="spot snapshots, for `binance --books diff`"
    )
    binance_usdm_rest_url: HttpUrl = Field(
        "https://fapi.binance.com/fapi/v1/depth", description="futures snapshots, for `binance --books diff`"
    )

    deliver_http_port: int = Field(
        8082, ge=0, le=65_535, description="port of a delivery's endpoints; 0 takes a free one"
    )
    deliver_webhook_url: LinkUrl = Field("", description="deliver webhook: where signals are posted")
    deliver_webhook_secret: Annotated[str, AfterValidator(delivery.webhook_secret)] = Field(
        "", description="deliver webhook: whsec_... to sign with; a second one, behind a blank, signs too"
    )
    deliver_telegram_url: HttpUrl = Field("https://api.telegram.org", description="deliver telegram: the Bot API")
    deliver_telegram_token: Annotated[str, AfterValidator(delivery.telegram_token)] = Field(
        "", description="deliver telegram: token of the bot"
    )
    deliver_telegram_chat: str = Field("", description="deliver telegram: id of the chat, or @NAME of a channel")
    deliver_discord_url: LinkUrl = Field("", description="deliver discord: URL of the channel's webhook")
    deliver_nats_subject: Annotated[str, AfterValidator(delivery.subject)] = Field(
        "", description="deliver nats: subject, of {strategy}, {symbol}, {action} and {venue} as SIGNAL_SUBJECT"
    )

    @model_validator(mode="after")
    def _check_logins_and_tls(self) -> Self:
        groups.check(lambda name: str(getattr(self, name)))
        return self

    def hints(self, environ: Mapping[str, str] = os.environ) -> list[str]:
        """Return what of the environment is not understood or not used, a sentence each."""
        return [*unknown_names(environ)[1], *environment.overruled(environ, self.broker, self.results)]

    @property
    def nats_tls(self) -> bool:
        """Whether the settings require TLS to NATS, whatever the scheme of the URL."""
        return bool(self.nats_tls_ca or self.nats_tls_cert or self.nats_tls_name)

    @property
    def shard(self) -> Shard:
        """INGEST_SHARD, read."""
        number, _, count = self.ingest_shard.partition("/")
        return Shard(int(number), int(count))

    @property
    def research_path(self) -> Path:
        """RESEARCH_DIR, or the folder in the user's cache."""
        if self.research_dir:
            return Path(self.research_dir)
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 raises without a home
        return Path(cache) / "realtime-strategies" / "research"

    @property
    def celery_prefix(self) -> str:
        """Prefix of Celery's own keys in Redis."""
        return f"{self.namespace}:celery:"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 there is no .env file of ours
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 NAME_FILE says where a secret is
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, then the files that it names."""
        return init_settings, env_settings, SecretFiles(settings_cls, SECRETS)

    def shown(self) -> dict[str, str]:
        """Return every setting by its environment name, passwords masked."""
        return {name.upper(): _shown(name, str(getattr(self, name))) for name in type(self).model_fields}


def _shown(name: str, value: str) -> str:
    if name in _URLS:
        return mask(value)
    return "***" * bool(value) if name in SECRETS else value


def unknown_names(environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return what is named like a setting and is none: faults, and warnings."""
    names = {name.upper() for name in Settings.model_fields}
    return environment.unknown(environ, names | {f"{name.upper()}_FILE" for name in SECRETS})


def _describe(fault: ErrorDetails) -> str:
    """Return a fault in a line, with the value unless it may be a secret or is the whole of the settings."""
    name, why = "".join(map(str, fault["loc"][:1])), validation.say(fault)
    if not name:
        return why
    return f"{name.upper()}: {why}" + ("" if name in SECRETS else f", not {_shown(name, fault['input'])!r}")


@lru_cache(maxsize=1)
def load() -> Settings:
    """Read the settings, once. Raises SettingsError, one message with every fault."""
    wrong, _ = unknown_names(os.environ)
    settings = None
    try:
        settings = Settings()
    except ValidationError as error:
        wrong += [_describe(fault) for fault in validation.faults(error)]
    if wrong or settings is None:
        raise SettingsError.of("the settings can't be used", wrong)
    return settings
