"""A ledger on the session's Valkey, under the test's own namespace, and frames of a recording."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tasks.ledger import Keys, Ledger, connection_options
from tasks.settings import Settings
from tests.exchange import recorded
from tests.integration.ledger_for_tests import start_epoch


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, **connection_options()) as client:
        yield client


@pytest.fixture
def keys(namespace: str) -> Keys:
    return Keys(namespace)


@pytest.fixture
def ledger(client: redis.Redis, keys: Keys) -> Ledger:
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
