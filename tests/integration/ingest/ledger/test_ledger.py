"""The ledger as ingest writes it, on a real server: epochs, checkpoints, quarantined events."""

from typing import Any

import msgspec
import pytest

from ingest.counters import Counted
from ingest.lanes.lane import Lane
from ingest.lanes.layout import Layout
from ingest.ledger.ledger import Begin, Checkpoint, IngestLedger
from ingest.sources.resume import LastFrame, StoredOffsets
from tasks.configuration import Configuration
from tasks.events import Position
from tasks.ledger import script
from tasks.ledger.lease import SupersededError
from tasks.ledger.lua import pack
from tasks.protocol import batches, dead_letters
from tasks.protocol.batches import Batch, Epoch
from tasks.protocol.counters import CounterKey, Counts
from tasks.protocol.records import unpack
from tasks.protocol.routing import ALONE, LaneId, Pool, Router, Shard
from tasks.settings import Settings
from tests.support.ledger import EPOCH, SOURCE, batch, commit, dump, outcome

LANE = LaneId("trade", 0)
OTHER_EPOCH = Epoch(7, "another1")


POOL = {"kinds": ["trade"], "partitions": 2, "strategies": {"x": {}}}
CONFIGURATION = Configuration.model_validate({"pools": {"trade": POOL}})


def layout(partitions: int = 2, shard: Shard = ALONE) -> Layout:
    return Layout(Router([Pool("trade", ("trade",), partitions=partitions)], shard))


LAYOUT = layout()


async def ingest(settings: Settings, use: Any) -> Any:
    """Return what `use` makes of ingest's ledger."""
    ledger = IngestLedger(settings)
    try:
        return await use(ledger)
    finally:
        await ledger.close()


def claim(ledger: IngestLedger, above: int = 0) -> Any:
    return ledger.claim(above, LAYOUT, CONFIGURATION)


def beginning_at(start: Position) -> Begin:
    async def begin(_: StoredOffsets) -> Position:
        return start

    return begin


async def at_the_first_frontier(stored: StoredOffsets) -> Position:
    return stored.frontiers[0]


async def test_the_first_epoch_finds_no_positions_and_writes_layout_and_config(client, keys, settings):
    epoch, positions, *_ = await ingest(settings, claim)
    assert epoch.number == 1
    assert positions == {LANE: None, LaneId("trade", 1): None}
    assert client.hget(keys.shard(0), "epoch") == str(epoch).encode()
    assert msgspec.json.decode(client.get(keys.layout)) == {"partitions": {"trade": 2}, "shards": 1}
    assert client.hget(keys.configurations, CONFIGURATION.version) == CONFIGURATION.canonical()


async def test_an_epoch_is_never_issued_twice_and_gives_each_lane_its_position(client, keys, ledger, settings):
    commit(ledger, batch(), outcome())
    epoch, positions, *_ = await ingest(settings, claim)
    assert epoch.number == EPOCH.number + 1
    assert positions == {LANE: Position(SOURCE, 2), LaneId("trade", 1): None}
    later, *_ = await ingest(settings, lambda ledger: claim(ledger, above=100))
    assert later.number == 101
    assert len({EPOCH.nonce, epoch.nonce, later.nonce}) == 3


async def test_a_new_epoch_fences_every_batch_of_the_old_one(ledger, settings):
    await ingest(settings, claim)
    assert commit(ledger, batch(), outcome()) == "epoch"


def test_of_two_claims_of_one_moment_the_second_changes_nothing(client, keys, ledger):
    run = client.register_script(script("claim"))
    names = [keys.shard(0), keys.layout, keys.configurations, keys.pool("trade")]
    assert run(names, [pack([str(EPOCH), "8.aa", "", "layout", "c1", "{}", "", ["lane:0"], 0, [""], ""])]) == [
        b"started",
        b"",
        b"",
        b"",
    ]
    before = dump(client, keys.namespace)
    assert run(names, [pack([str(EPOCH), "8.bb", "layout", "other", "c2", "{}", "", ["lane:0"], 0, [""], ""])]) == [
        b"epoch",
        b"8.aa",
    ]
    assert run(names, [pack(["8.aa", "9.bb", "", "other", "c2", "{}", "", ["lane:0"], 0, [""], ""])]) == [
        b"layout",
        b"layout",
    ]
    assert dump(client, keys.namespace) == before


async def test_an_epoch_with_a_start_puts_every_lane_and_the_frontier_there(client, keys, ledger, settings):
    commit(ledger, batch(), outcome())
    start = Position("log", 7)
    claimed = await ingest(settings, lambda ledger: ledger.claim(0, LAYOUT, CONFIGURATION, beginning_at(start)))
    assert claimed.positions == {LANE: start, LaneId("trade", 1): start}
    assert claimed.start == start
    assert client.hget(keys.pool("trade"), "lane:0") == client.hget(keys.shard(0), "frontier") == b"log@7"


async def test_two_shards_share_the_lanes_out_and_have_an_epoch_each(client, keys, settings):
    for number in (0, 1):
        own = settings.model_copy(update={"ingest_shard": f"{number}/2"})
        wanted = layout(shard=Shard(number, 2))
        claimed = await ingest(own, lambda ledger, wanted=wanted: ledger.claim(0, wanted, CONFIGURATION))
        assert claimed.positions == {LaneId("trade", number): None}
    assert client.hexists(keys.shard(0), "epoch")
    assert client.hexists(keys.shard(1), "epoch")
    assert msgspec.json.decode(client.get(keys.layout)) == {"partitions": {"trade": 2}, "shards": 2}


async def test_another_layout_is_refused_while_another_shard_is_led(client, keys, settings):
    """The refusal changes nothing."""
    second = settings.model_copy(update={"ingest_shard": "1/2"})

    leader, alone = IngestLedger(second), IngestLedger(settings)
    await leader.claim(0, layout(shard=Shard(1, 2)), CONFIGURATION)
    await alone.lease.take()
    client.persist(keys.lease(0))
    client.persist(keys.lease(1))
    before = dump(client, keys.namespace)
    with pytest.raises(SupersededError, match="another shard runs"):
        await alone.claim(0, layout(), CONFIGURATION)
    client.persist(keys.lease(0))
    assert dump(client, keys.namespace) == before
    await leader.close()
    await alone.close()


async def test_another_layout_ends_the_epochs_of_all_other_shards(client, keys, settings):
    second = settings.model_copy(update={"ingest_shard": "1/2"})
    await ingest(second, lambda ledger: ledger.claim(0, layout(shard=Shard(1, 2)), CONFIGURATION))
    client.hset(keys.shard(1), "frontier", "log@3")
    claimed = await ingest(settings, lambda ledger: ledger.claim(0, layout(), CONFIGURATION, at_the_first_frontier))
    assert claimed.start == Position("log", 3)
    assert client.hgetall(keys.shard(1)) == {b"frontier": b"log@3"}
    assert msgspec.json.decode(client.get(keys.layout)) == {"partitions": {"trade": 2}, "shards": 1}


async def at_the_lowest_frontier(stored: StoredOffsets) -> Position:
    return min(stored.frontiers, key=lambda position: position.seq)


async def claim_as(settings: Settings, shard: Shard) -> Position | None:
    """Start an epoch of this shard, and give where it begins."""
    own = settings.model_copy(update={"ingest_shard": f"{shard.number}/{shard.total}"})
    wanted = layout(shard=shard)
    claimed = await ingest(own, lambda ledger: ledger.claim(0, wanted, CONFIGURATION, at_the_lowest_frontier))
    start: Position | None = claimed.start
    return start


@pytest.mark.parametrize("first", [0, 1])
async def test_a_shard_that_comes_back_begins_where_the_remaining_ones_stand(client, keys, settings, first: int):
    for number in (0, 1):
        client.hset(keys.shard(number), "frontier", "log@3")
        await claim_as(settings, Shard(number, 2))
    assert await claim_as(settings, ALONE) == Position("log", 3)
    client.hset(keys.shard(0), "frontier", "log@900")
    client.hdel(keys.shard(0), "checkpoint")
    for number in (first, 1 - first):
        assert await claim_as(settings, Shard(number, 2)) == Position("log", 900)


def checkpoint(name: str, epoch: Epoch = EPOCH, stand: dict[LaneId, Position | None] | None = None) -> Any:
    written = Checkpoint(
        name, [b"letter"], Counts({CounterKey("frames"): 3, CounterKey("events"): 2}), Position("s", 11)
    )
    return lambda ledger: ledger.checkpoint(epoch, Position("s", 9), written, stand or {})


async def test_a_checkpoint_is_written_once_a_name(client, keys, ledger, settings):
    assert await ingest(settings, checkpoint("one"))
    before = dump(client, keys.namespace)
    assert await ingest(settings, checkpoint("one"))
    assert dump(client, keys.namespace) == before
    assert await ingest(settings, checkpoint("two"))
    assert client.hgetall(keys.counters) == {b"frames": b"6", b"events": b"4"}
    assert client.xlen(keys.deadletters) == 2
    assert client.hget(keys.shard(0), "frontier") == b"s@9"


@pytest.mark.parametrize(("source", "counted"), [("s", 11), ("another", 0)])
async def test_a_new_epoch_learns_up_to_where_frames_of_its_source_were_counted(
    ledger, settings, source: str, counted: int
):
    await ingest(settings, checkpoint("one"))
    start = Position(source, 9)
    claimed = await ingest(settings, lambda own: own.claim(0, LAYOUT, CONFIGURATION, beginning_at(start)))
    assert claimed.counted == Counted(counted)


async def test_a_new_epoch_is_told_all_stored_positions_and_the_last_frame_read(client, keys, ledger, settings):
    read = LastFrame("s", 10, 1_700_000_000_000_000_000)
    client.hset(keys.pool("trade"), "lane:1", "s@8")
    told: list[StoredOffsets] = []

    async def begin(stored: StoredOffsets) -> None:
        told.append(stored)

    for last in (read, None):
        written = Checkpoint(f"after {last}", [], Counts(), Position("s", 11), last)
        await ingest(settings, lambda own, written=written: own.checkpoint(EPOCH, Position("s", 9), written, {}))
    await ingest(settings, lambda own: own.claim(0, LAYOUT, CONFIGURATION, begin))
    assert told == [StoredOffsets([Position("s", 9)], [Position("s", 11), Position("s", 8)], [read])]


async def test_a_checkpoint_under_a_foreign_epoch_is_refused_and_leaves_no_trace(client, keys, ledger, settings):
    before = dump(client, keys.namespace)
    assert not await ingest(settings, checkpoint("one", OTHER_EPOCH))
    assert dump(client, keys.namespace) == before


@pytest.mark.parametrize(
    ("known", "stored", "taken"),
    [
        (None, None, True),
        (None, "s@3", True),
        ("s@3", "s@3", True),
        ("s@3", "s@10", True),  # a commit whose notice is in flight
        ("before@8", "s@1", True),
        ("before@8", "before@8", True),
        ("s@10", "s@9", False),
        ("s@3", None, False),
        ("before@8", "before@7", False),
        ("before@8", "long ago@9", False),
    ],
)
async def test_a_checkpoint_is_refused_where_a_lane_is_below_its_known_position(
    client, keys, ledger, settings, known: str | None, stored: str | None, *, taken: bool
):
    """A refused checkpoint leaves no trace."""
    other = LaneId("trade", 1)
    client.hset(keys.pool("trade"), "lane:1", "s@4")
    if stored:
        client.hset(keys.pool("trade"), "lane:0", stored)
    before = dump(client, keys.namespace)
    stand = {other: Position("s", 4), LANE: Position.parse(known) if known else None}
    assert await ingest(settings, checkpoint("one", stand=stand)) == taken
    assert (dump(client, keys.namespace) != before) == taken


@pytest.mark.parametrize("stored", ["no number", str(2**63 - 1), ""])
async def test_a_counter_that_is_no_number_repeats_no_letter_and_stops_nothing(
    client, keys, ledger, settings, stored: str
):
    client.hset(keys.counters, "frames", stored)
    for name in ("one", "one", "two"):
        assert await ingest(settings, checkpoint(name))
    assert client.xlen(keys.deadletters) == 2
    assert client.hget(keys.shard(0), "frontier") == b"s@9"
    assert client.hgetall(keys.counters) == {b"frames": stored.encode(), b"events": b"4"}


@pytest.mark.parametrize("stored", ["no number", "9" * 5_000])
async def test_starts_that_are_no_number_count_as_none(client, keys, ledger, settings, stored):
    lane, sent = Lane(LANE), batch()
    client.hset(keys.starts(LANE), sent.identity, stored)
    found = await ingest(settings, lambda own: own.read([(lane, sent)]))
    assert found.lanes[LANE] == (None, 0)


async def test_more_than_8000_letters_and_counters_are_checkpointed(client, keys, ledger, settings):
    letters = [b"letter"] * 8_001
    counts = Counts({CounterKey("errors", str(number)): 1 for number in range(4_001)})
    written = Checkpoint("one", letters, counts, Position("s", 9))
    assert await ingest(settings, lambda own: own.checkpoint(EPOCH, Position("s", 9), written, {}))
    assert (client.xlen(keys.deadletters), client.hlen(keys.counters)) == (8_001, 4_001)


async def test_a_quarantined_event_is_committed_through_the_same_fence(client, keys, ledger, settings):
    (event,) = batch(None, 1.0).events
    sent = Batch("trade", 0, 0, EPOCH, None, Position(SOURCE, 1), "c1", (batches.pack_event(event),))
    for _ in range(2):
        await ingest(settings, lambda own: own.quarantine(sent, 5))
    (letter,) = (dead_letters.unpack(fields[b"letter"]) for _, fields in client.xrange(keys.deadletters))
    assert (letter.reason, letter.event) == ("condemned", event)
    record = unpack(client.hget(keys.pool("trade"), "record:spot:BTCUSDT:trade"))
    assert (record.applied, record.count) == (Position(SOURCE, 1), 0)
    assert client.hgetall(keys.counters) == {b"batches": b"1", b"condemned": b"1"}
