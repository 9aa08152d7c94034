"""The relays of several ledgers, in the process that leads the first shard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import redis

from ingest.connectivity import Connectivity
from ingest.dispatch.redis_refusals import RedisRefusals
from ingest.lanes.layout import StoredLayout
from ingest.monitoring.other_ledgers import OtherLedgers
from ingest.relay import GROUP, Relay, Relays
from ingest.steps import StepRunner
from tasks.event_loop import end
from tasks.ledger import MOVING, LedgerKeys
from tasks.settings import Settings
from tests.support.relaying import Stage, packed, settings_of_a_relay, stage, until


@pytest.fixture
def urls(redis_url: str) -> list[str]:
    """The ledgers of three shards."""
    return [redis_url.removesuffix("/0") + f"/{number}" for number in range(3)]


@pytest.fixture
def settings(nats_url: str, urls: list[str], namespace: str) -> Settings:
    split = {"ledger_urls": " ".join(urls), "nats_partitions": 3, "ingest_shard": "0/3"}
    return settings_of_a_relay(nats_url, urls[0], namespace).model_copy(update=split)


@pytest.fixture
def clients(urls: list[str]) -> Any:
    made = [redis.Redis.from_url(url) for url in urls]
    yield made
    for client in made:
        client.close()


def layout(ledger: int, ledgers: int = 3) -> bytes:
    return msgspec.json.encode(StoredLayout(3, {}, 3, ledgers=ledgers, ledger=ledger))


def relays_of(on: Stage, settings: Settings) -> tuple[Relays, OtherLedgers]:
    made = {
        number: Relay(settings, ledger, on.streams, on.counters, lambda *_: None)
        for number, ledger in on.ledger.relayed()
    }
    others = OtherLedgers(on.ledger.servers, on.keys)
    return Relays(made, others.attempt_if_right), others


@asynccontextmanager
async def relaying(relays: Relays) -> AsyncIterator[None]:
    runner = StepRunner(Connectivity({}), RedisRefusals())
    tasks = [asyncio.create_task(runner.every(0.01, step)) for step in relays.steps.values()]
    try:
        yield
    finally:
        await end(*tasks)


@pytest.mark.parametrize(
    "wrong", [layout(1), layout(2, 4), MOVING, b"{"], ids=["swapped", "of more", "moving", "damaged"]
)
async def test_nothing_is_relayed_from_a_server_that_has_another_ledger(settings, clients, keys: LedgerKeys, wrong):
    for client, stored in zip(clients, (layout(0), layout(1), wrong), strict=True):
        client.set(keys.layout, stored)
    clients[2].xadd(keys.signals, {"signal": packed("of another")})
    async with stage(settings) as on:
        relays, others = relays_of(on, settings)
        async with relaying(relays):
            for number in (0, 1):
                clients[number].xadd(keys.signals, {"signal": packed(f"of {number}")})
                await on.hears(*(f"of {each}" for each in range(number + 1)))

            async def told() -> bool:
                return [each.name for each in others.findings()] == ["ledger_misplaced"]

            await until(told)
            (finding,) = others.findings()
            assert finding.what == "ledger of shard 2"
            assert settings.ledgers[2] in finding.says
            assert "\n" not in finding.says
        assert not await relays.drain(), "its signals wait"
        assert not clients[2].xinfo_groups(keys.signals)
        clients[2].set(keys.layout, layout(2))
        async with relaying(relays):
            await on.hears("of 0", "of 1", "of another")
            assert not list(others.findings())


async def test_signals_of_a_ledger_without_a_layout_are_relayed(settings, clients, keys: LedgerKeys):
    """Its shard writes one when it begins; a key that was lost holds no signal up."""
    clients[1].xadd(keys.signals, {"signal": packed("one")})
    async with stage(settings) as on:
        relays, _ = relays_of(on, settings)
        async with relaying(relays):
            await on.hears("one")
        assert [group["name"] for group in clients[1].xinfo_groups(keys.signals)] == [GROUP.encode()]
