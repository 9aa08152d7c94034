"""A change of the layout before every shard of the last one has begun."""

import redis

from ingest.lanes.layout import Layout
from ingest.ledger.ledger import IngestLedger
from ingest.sources.resume import StoredOffsets
from tasks.configuration import Configuration
from tasks.ledger import LedgerKeys
from tasks.protocol.routing import Pool, Router, Shard
from tasks.settings import Settings

CONFIGURATION = Configuration.model_validate(
    {"pools": {"trade": {"kinds": ["trade"], "strategies": {"trade_momentum": {}}}}}
)


def layout(number: int, total: int) -> Layout:
    return Layout(Router([Pool("trade", ("trade",), partitions=2)], Shard(number, total)))


async def test_a_new_layout_learns_whether_a_shard_of_the_last_one_never_began(
    client: redis.Redis, keys: LedgerKeys, settings: Settings
):
    told: list[StoredOffsets] = []

    async def begin(stored: StoredOffsets) -> None:
        told.append(stored)

    for begun in range(3):
        client.set(keys.layout, layout(0, 2).encode())
        if begun:
            client.hset(keys.shard(begun - 1), "frontier", "log@9")
        ledger = IngestLedger(settings)
        await ledger.claim(0, layout(0, 1), CONFIGURATION, begin)
        await ledger.close()
    assert [stored.has_unstarted for stored in told] == [True, True, False]


async def test_a_shard_that_has_its_lanes_to_itself_asks_for_no_other(client: redis.Redis, settings: Settings):
    told: list[StoredOffsets] = []

    async def begin(stored: StoredOffsets) -> None:
        told.append(stored)

    ledger = IngestLedger(settings)
    await ledger.claim(0, layout(0, 1), CONFIGURATION, begin)
    await ledger.close()
    assert not told[0].has_unstarted
