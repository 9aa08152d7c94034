"""The API against Redis, with a configuration in force."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingest.dispatch.active_configuration import ActiveConfiguration
from tasks.ledger.configurations import ConfigurationStore, read_file
from tasks.settings import Settings
from tests.support.servers.api import TOKEN, ApiCaller, serving

FILE = """
[pools.depth]
kinds = ["depth"]
[pools.depth.strategies.orderbook_skew]
levels = 5
[pools.depth.strategies.iceberg]
alias = "iceberg_detector"
[pools.depth.shadow.orderbook_skew]
of = "orderbook_skew"
levels = 8
[pools.trade]
kinds = ["trade"]
[pools.trade.strategies.trade_momentum]
[pools.trade.strategies.price_velocity]
alias = "ticker_velocity"
"""


@pytest.fixture
def settings(redis_url: str, nats_url: str, namespace: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        nats_url=nats_url,
        namespace=namespace,
        nats_subjects=f"{namespace}.>",
        api_token=f"dashboard:{TOKEN} cio:the-cios-own-token",
    )


@pytest.fixture
def configured(settings: Settings, tmp_path: Path) -> Iterator[ConfigurationStore]:
    """A strategies file is in force."""
    file = tmp_path / "strategies.toml"
    file.write_text(FILE)
    with (
        closing(ActiveConfiguration(ConfigurationStore(settings), read_file(file))) as active,
        closing(ConfigurationStore(settings)) as store,
    ):
        asyncio.run(active.refresh())
        yield store


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    with serving(settings) as port:
        yield port


@pytest.fixture
def api(port: int, configured: ConfigurationStore) -> ApiCaller:
    """Calls the API as `dashboard`."""
    return ApiCaller(port)
