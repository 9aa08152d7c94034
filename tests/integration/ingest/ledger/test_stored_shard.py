"""What a shard left in the ledger and somebody changed since: no frame is passed over for it, and a line says so."""

from typing import Any

import msgspec
import pytest

from ingest.lanes.layout import Layout
from ingest.ledger.ledger import Checkpoint, EpochClaim, IngestLedger
from ingest.sources.resume import LastFrame, StoredOffsets
from tasks.configuration import Configuration
from tasks.events import Position
from tasks.ledger import LedgerKeys
from tasks.protocol.counters import Counts
from tasks.protocol.routing import LaneId, Pool, Router, Shard
from tasks.settings import Settings
from tests.support.ledger import batch, commit, outcome

POOL = {"kinds": ["trade"], "partitions": 2, "strategies": {"x": {}}}
CONFIGURATION = Configuration.model_validate({"pools": {"trade": POOL}})
STREAM = "js-FRAMES-1"
START, STOOD, COUNTED = (Position(STREAM, seq) for seq in (5, 20, 30))


def layout(number: int = 0, total: int = 1) -> Layout:
    return Layout(Router([Pool("trade", ("trade",), partitions=2)], Shard(number, total)))


class Shards:
    """Shards that begin, write a checkpoint and end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: What each claim was told.
        self.told: list[StoredOffsets] = []
        #: What the last one found damaged.
        self.findings: dict[str, str] = {}

    async def claim(self, number: int = 0, total: int = 1, *, start: Position | None = START) -> EpochClaim:
        """Begin, and write a checkpoint where it begins at a position of a stream."""

        async def begin(stored: StoredOffsets) -> Position | None:
            self.told.append(stored)
            return start

        own = self._settings.model_copy(update={"ingest_shard": f"{number}/{total}"})
        ledger = IngestLedger(own)
        try:
            claimed = await ledger.claim(0, layout(number, total), CONFIGURATION, begin)
            self.findings = {each.what: each.says for each in ledger.damage.findings()}
            if start:
                written = Checkpoint(f"{claimed.epoch}#1", [], Counts(), COUNTED)
                assert await ledger.checkpoint(claimed.epoch, STOOD, written, {})
            return claimed
        finally:
            await ledger.close()


@pytest.fixture
def shards(settings: Settings) -> Shards:
    return Shards(settings)


@pytest.mark.parametrize("stored", [f"{STREAM}@29", f"{STREAM}@21", "js-GRAMES-1@20", "no position", None])
async def test_of_a_frontier_that_is_not_what_was_written_the_lower_counts(
    client: Any, keys: LedgerKeys, shards: Shards, stored: str | None
):
    await shards.claim()
    client.hset(keys.shard(0), "frontier", stored) if stored else client.hdel(keys.shard(0), "frontier")
    assert (await shards.claim()).is_damaged
    assert STOOD in shards.told[-1].frontiers
    [(where, says)] = shards.findings.items()
    assert (where, str(STOOD) in says) == (f"key {keys.shard(0)} frontier", True)


async def test_a_frontier_lower_than_what_was_written_counts(client: Any, keys: LedgerKeys, shards: Shards):
    """As where somebody puts it back, to have frames read again."""
    await shards.claim()
    client.hset(keys.shard(0), "frontier", f"{STREAM}@0")
    await shards.claim()
    assert min(each.seq for each in shards.told[-1].frontiers) == 0


async def test_a_frontier_as_written_by_a_claim_or_a_checkpoint_is_one(shards: Shards):
    for _ in range(2):
        assert not (await shards.claim()).is_damaged
    assert shards.told[-1].frontiers == [STOOD]


@pytest.mark.parametrize("left", [{"checkpoint": "7.ab#3"}, {"epoch": "9.cd"}, {"checkpoint": "\xff"}])
async def test_what_a_release_wrote_that_writes_no_second_frontier_counts(
    client: Any, keys: LedgerKeys, shards: Shards, left: dict[str, str]
):
    """A checkpoint of 1.0.0, or a claim of it, after one of ours."""
    await shards.claim()
    client.hset(keys.shard(0), mapping={"frontier": f"{STREAM}@25", **left})
    assert not (await shards.claim()).is_damaged
    assert shards.told[-1].frontiers == [Position(STREAM, 25)]


async def test_a_shard_whose_key_is_gone_goes_on_where_its_lanes_stand(client: Any, keys: LedgerKeys, shards: Shards):
    await shards.claim()
    client.hset(keys.pool("trade"), "lane:1", f"{STREAM}@18")
    client.delete(keys.shard(0))
    assert (await shards.claim()).is_damaged
    assert shards.told[-1].frontiers == [START, Position(STREAM, 18)]
    assert [*shards.findings] == [f"key {keys.shard(0)} frontier"]


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("flipped", [0, 1, 7])
async def test_shards_that_began_count_though_the_layout_names_others(
    client: Any, keys: LedgerKeys, shards: Shards, first: int, flipped: int
):
    for number in range(3):
        await shards.claim(number, 3)
    stored: Any = client.get(keys.layout)
    client.set(keys.layout, stored.replace(b'"shards":3', b'"shards":%d' % flipped))
    claimed = await shards.claim(first, 3)
    assert len(shards.told[-1].frontiers) == 3
    assert claimed.is_damaged == (flipped < 3)


async def test_a_pool_that_is_gone_is_told_by_its_key(client: Any, keys: LedgerKeys, shards: Shards):
    await shards.claim()
    client.delete(keys.pool("trade"))
    claimed = await shards.claim()
    assert (claimed.is_damaged, claimed.positions[LaneId("trade", 0)]) == (True, START)
    assert [*shards.findings] == [f"key {keys.pool('trade')}"]


async def test_without_a_stream_a_pool_that_has_no_positions_is_no_loss(shards: Shards):
    for _ in range(2):
        assert not (await shards.claim(start=None)).is_damaged


async def test_what_a_claim_was_told_has_to_be_there_still(client, keys, ledger, settings, shards):
    """Redis goes back between the reading and the claim: a frontier that it does not have any more has frames skipped."""
    await shards.claim()
    before = client.hgetall(keys.shard(0))
    own = IngestLedger(settings)
    try:
        epoch = await own.epoch()
        assert epoch
        assert await own.checkpoint(epoch, COUNTED, Checkpoint("later", [], Counts(), COUNTED), {})
        told: list[StoredOffsets] = []

        async def begin(stored: StoredOffsets) -> Position:
            told.append(stored)
            if len(told) == 1:
                client.hset(keys.shard(0), mapping=before)
            return stored.frontiers[0]

        claimed = await own.claim(0, layout(), CONFIGURATION, begin)
    finally:
        await own.close()
    assert [each.frontiers for each in told] == [[COUNTED], [STOOD]]
    assert claimed.start == STOOD


async def test_a_frame_that_a_lane_took_after_the_checkpoint_is_the_last_one(client, keys, ledger, shards):
    """Else nobody could tell whether a stream that lost its end has given the numbers after the checkpoint's to others."""
    claimed = await shards.claim()
    taken = msgspec.structs.replace(batch(None, epoch=claimed.epoch), prev=START, to=STOOD, stored_at_ns=2_000)
    assert commit(ledger, taken, outcome()) == "committed"
    assert client.hget(keys.pool("trade"), "frame:0") == f"{STOOD}@2000".encode()
    await shards.claim()
    assert shards.told[-1].read == LastFrame(STREAM, STOOD.seq, 2_000)


async def test_after_a_change_of_layout_the_last_frame_of_any_shard_counts(client, keys, shards):
    """Else a stream that lost its end meanwhile is not known again by a shard that was not there before."""
    await shards.claim(1, 2)
    read = LastFrame(STREAM, STOOD.seq, 1_000)
    client.hset(keys.shard(1), "read", str(read))
    await shards.claim(0, 3)
    assert shards.told[-1].read == read


async def test_after_a_change_of_layout_frames_and_positions_of_all_lanes_count(client, keys, shards):
    for number in range(2):
        await shards.claim(number, 2)
    for partition in range(2):
        reached = LastFrame(STREAM, COUNTED.seq + partition, 2_000 + partition)
        lane = {f"frame:{partition}": str(reached), f"lane:{partition}": f"{STREAM}@{reached.seq}"}
        client.hset(keys.pool("trade"), mapping=lane)
    await shards.claim(2, 3)
    assert shards.told[-1].read == reached
    assert max(each.seq for each in shards.told[-1].reached) == reached.seq
