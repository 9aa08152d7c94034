"""Each frame is counted once, also where another layout gives its partition to another shard."""

from typing import Any

import pytest

from ingest.counters import Counted
from ingest.lanes.layout import Layout
from ingest.ledger import counted
from ingest.ledger.ledger import Checkpoint, IngestLedger
from ingest.sources.resume import StoredOffsets
from tasks.configuration import Configuration
from tasks.errors import LedgerError
from tasks.events import Position
from tasks.ledger.lease import SupersededError
from tasks.protocol.counters import Counts
from tasks.protocol.routing import Pool, Router, Shard
from tasks.settings import Settings

POOL = {"kinds": ["trade"], "partitions": 4, "strategies": {"x": {}}}
CONFIGURATION = Configuration.model_validate({"pools": {"trade": POOL}})
SOURCE = "js-FRAMES-1"


def layout(shard: Shard, frames: int = 4) -> Layout:
    return Layout(Router([Pool("trade", ("trade",), partitions=4)], shard, frames))


async def at_the_lowest(stored: StoredOffsets) -> Position:
    return min(stored.frontiers, key=lambda position: position.seq, default=Position(SOURCE, 0))


async def claim(
    settings: Settings, number: int, total: int, *, frames: int = 4, counted_up_to: int | None = None, frontier: int = 0
) -> Counted:
    """Start an epoch of a shard, and count up to a frame; return up to where its frames were counted."""
    shard = Shard(number, total)
    ledger = IngestLedger(settings.model_copy(update={"ingest_shard": str(shard)}))
    try:
        claimed = await ledger.claim(0, layout(shard, frames), CONFIGURATION, at_the_lowest)
        if counted_up_to is not None:
            written = Checkpoint(f"{claimed.epoch}#1", (), Counts(), Position(SOURCE, counted_up_to))
            await ledger.checkpoint(claimed.epoch, Position(SOURCE, frontier), written, {})
    finally:
        await ledger.close()
    return claimed.counted


async def test_more_shards_go_on_where_the_one_before_has_counted(settings: Settings):
    await claim(settings, 0, 1, counted_up_to=90, frontier=70)
    assert await claim(settings, 1, 2) == Counted(70, [90, 90, 90, 90])
    assert await claim(settings, 0, 2) == Counted(70, [90, 90, 90, 90])


async def test_one_shard_knows_of_each_partition_how_far_it_was_counted(settings: Settings):
    await claim(settings, 0, 2, counted_up_to=90, frontier=70)
    await claim(settings, 1, 2, counted_up_to=80, frontier=75)
    assert await claim(settings, 0, 1) == Counted(70, [90, 80, 90, 80])


async def test_that_is_not_forgotten_when_it_ends_before_it_is_there(settings: Settings):
    await claim(settings, 0, 2, counted_up_to=90, frontier=70)
    await claim(settings, 1, 2, counted_up_to=80, frontier=70)
    await claim(settings, 0, 1, counted_up_to=85, frontier=71)
    assert await claim(settings, 0, 1) == Counted(85, [90, 80, 90, 80])
    assert await claim(settings, 3, 4) == Counted(71, [90, 85, 90, 85])


async def test_before_there_were_partitions_shard_0_counted_all(settings: Settings):
    await claim(settings, 0, 2, frames=0, counted_up_to=90, frontier=70)
    await claim(settings, 1, 2, frames=0, counted_up_to=80, frontier=70)
    assert await claim(settings, 1, 2) == Counted(70, [90, 90, 90, 90])


async def test_shards_with_another_number_of_partitions_do_not_run_together(settings: Settings):
    first = IngestLedger(settings.model_copy(update={"ingest_shard": "0/2"}))
    await first.claim(0, layout(Shard(0, 2)), CONFIGURATION, at_the_lowest)
    with pytest.raises(SupersededError, match='"frames":4'):
        await claim(settings, 1, 2, frames=8)
    await first.close()


def test_without_partitions_the_layout_is_stored_as_before():
    assert layout(Shard(0, 2), frames=0).encode() == b'{"partitions":{"trade":4},"shards":2}'


@pytest.mark.parametrize("stored", [b"x", b"js@", b"js@1,a", b"\xff"])
def test_another_text_in_its_place_is_named_with_what_to_do(stored: bytes):
    with pytest.raises(LedgerError, match="HDEL ns:shard:0 counted_of"):
        counted.parse(stored, "ns:shard:0 counted_of", "js")


def test_numbers_of_another_source_do_not_count():
    found: Any = counted.parse(b"js-OTHER-1@1,2", "x", SOURCE)
    assert list(found) == []
