"""A ledger on the session's Valkey, under the test's own namespace, and frames of a recording."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis

from compose.local.processes import Instance
from ingest.dispatch.active_configuration import ActiveConfiguration
from tasks.clients.redis_client import connection_options
from tasks.configuration import Configuration
from tasks.ledger import Ledger, LedgerKeys
from tasks.ledger.configurations import ConfigurationStore
from tasks.settings import Settings
from tests.support.ledger import start_epoch
from tests.support.runtime_configuration import Start
from tests.support.servers.exchange import recorded
from tests.support.servers.nats_logins import Certificates


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, **connection_options()) as client:
        yield client


@pytest.fixture
def keys(namespace: str) -> LedgerKeys:
    return LedgerKeys(namespace)


@pytest.fixture
def ledger(client: redis.Redis, keys: LedgerKeys) -> Ledger:
    """A ledger whose epoch is EPOCH and whose lanes are empty."""
    start_epoch(client, keys)
    return Ledger(client, keys.namespace)


@pytest.fixture
def settings(redis_url: str, namespace: str) -> Settings:
    return Settings(redis_url=redis_url, namespace=namespace)


@pytest.fixture
def spot(recording: Path) -> list[str]:
    """Frames of the spot market."""
    return recorded(recording, 300, "spot")


@pytest.fixture
def store(settings: Settings) -> Iterator[ConfigurationStore]:
    """The configuration store of this test."""
    with closing(ConfigurationStore(settings)) as store:
        yield store


@pytest.fixture
def start(settings: Settings) -> Iterator[Start]:
    """A function that starts as ingest does that has read a file."""
    with ExitStack() as started:

        async def start(chosen: Configuration, store: ConfigurationStore | None = None) -> ActiveConfiguration:
            in_force = started.enter_context(
                closing(ActiveConfiguration(store or ConfigurationStore(settings), chosen))
            )
            await in_force.refresh()
            return in_force

        yield start


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    """Where the servers of a module's tests live."""
    with Instance("module") as instance:
        yield instance


@pytest.fixture(scope="module")
def certificates(instance: Instance) -> Certificates:
    return Certificates(instance.directory)
