"""A configuration of two strategies and its changes at run time, as tests make them."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
import redis

from ingest.dispatch.active_configuration import ActiveConfiguration
from tasks import configuration
from tasks.configuration import Configuration, named_strategies
from tasks.ledger import LedgerKeys
from tasks.ledger.configurations import ConfigurationStore, EditResult, read_file
from tasks.settings import Settings, load

SIDED, MOMENTUM = "tests.support.workers.strategies:Sided", "trade_momentum"


def file(pool: str = "trade", **momentum: object) -> Configuration:
    tables = {pool: {"kinds": ["trade"], "strategies": {SIDED: {}, MOMENTUM: momentum}}}
    return configuration.check({"pools": tables}, "the file")


def set_(store: ConfigurationStore, name: str, **values: object) -> EditResult:
    assigned = {key.replace("__", "."): value for key, value in values.items()}
    return store.set(lambda found: named_strategies.values(found.configuration, name, assigned), "try", "ann")


def momentum(chosen: Configuration) -> dict[str, object]:
    return chosen.pools["trade"].strategies[MOMENTUM].params


def said(in_force: ActiveConfiguration) -> list[str]:
    return [f"{finding.what}: {finding.says}" for finding in in_force.findings()]


class Start(Protocol):
    """Starts as ingest does that has read a file; `store` is how it looks at the ledger."""

    async def __call__(self, chosen: Configuration, store: ConfigurationStore | None = None) -> ActiveConfiguration: ...


def changed_by_the_release_before(
    client: redis.Redis, keys: LedgerKeys, chosen: Configuration, author: str = "ann", file: str = ""
) -> None:
    """Put a configuration in force as a release did that kept no overlay; `file` is set by its ingest."""
    change = {"version": chosen.version, "previous": "", "author": author, "reason": "", "at_ms": 1}
    client.hset(keys.configurations, chosen.version, chosen.canonical())
    client.xadd(keys.history, {"change": msgspec.json.encode(change)})
    client.hset(keys.configuration, "version", chosen.version)
    if file:
        client.hset(keys.configuration, "file", file)


@contextmanager
def put_in_force(
    file: Path, settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ConfigurationStore]:
    """Put a file in force as ingest does, and have commands run there."""
    values = (("REDIS_URL", redis_url), ("NAMESPACE", settings.namespace), ("STRATEGIES_FILE", str(file)))
    for name, value in values:
        monkeypatch.setenv(name, value)
    load.cache_clear()
    with (
        closing(ActiveConfiguration(ConfigurationStore(settings), read_file(file))) as in_force,
        closing(ConfigurationStore(settings)) as store,
    ):
        asyncio.run(in_force.refresh())
        yield store
    load.cache_clear()
