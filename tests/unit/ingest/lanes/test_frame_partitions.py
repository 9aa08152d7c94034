"""Which frames a shard reads, which of them it counts, and what is refused for where it came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.lanes.frame_partitions import FramePartitions, frame_partitions
from tasks.errors import SettingsError
from tasks.frames.subjects import FrameSubjects, insert
from tasks.protocol.routing import Pool, Router, Shard, partition
from tests.support.events import trade

TRADES = Pool("trade", ("trade",), partitions=8)
BASKET = Pool("basket", ("trade",), key="all", symbols=frozenset({"BTCUSDT"}))
SUBJECTS = FrameSubjects.read("binance.>", 16)


def of_shard(number: int, total: int, *pools: Pool, subjects: FrameSubjects = SUBJECTS) -> FramePartitions:
    return FramePartitions(subjects, Shard(number, total), pools or (TRADES,))


def test_without_partitions_there_is_nothing_to_own():
    assert frame_partitions(FrameSubjects.read("binance.>"), Shard(0, 4), ()) is None


def test_one_shard_reads_all_there_is_with_and_without_a_partition():
    assert of_shard(0, 1).read == ("binance.>",)


def test_a_shard_reads_each_partition_that_is_its_number_modulo_the_shards():
    assert of_shard(1, 4).read == ["binance.1.>", "binance.5.>", "binance.9.>", "binance.13.>"]


@given(st.text(min_size=1, max_size=12), st.sampled_from(["spot", "usdm", "kraken"]), st.sampled_from([1, 2, 4, 8]))
def test_a_symbols_frames_and_its_lane_are_the_same_shards(symbol: str, venue: str, total: int):
    number = partition(venue, symbol, 16)
    [owner] = [shard for shard in range(total) if of_shard(shard, total).owned(f"binance.{number}.x") is not None]
    assert Router([TRADES], Shard(owner, total)).lanes_of(venue, symbol, "trade")


def test_shard_0_also_reads_what_a_pool_keyed_all_takes():
    beside = {partition(venue, "BTCUSDT", 16) for venue in ("spot", "usdm", "coinm")}
    own = {0, 4, 8, 12}
    assert beside - own
    assert set(of_shard(0, 4, TRADES, BASKET).read) == {insert("binance.>", number) for number in own | beside}
    assert set(of_shard(1, 4, TRADES, BASKET).read) == {insert("binance.>", number) for number in (1, 5, 9, 13)}


def test_of_other_subjects_than_binances_shard_0_then_reads_all():
    """A venue's name is not known before its frames come, and with it the partition of a symbol."""
    subjects = FrameSubjects.read("market.>", 4)
    assert of_shard(0, 2, TRADES, BASKET, subjects=subjects).read == [f"market.{number}.>" for number in range(4)]
    assert of_shard(1, 2, TRADES, BASKET, subjects=subjects).read == ["market.1.>", "market.3.>"]


def test_each_frame_is_counted_by_one_shard():
    shards = [of_shard(number, 4, TRADES, BASKET) for number in range(4)]
    for subject in (*(f"binance.{number}.x" for number in range(16)), "binance.x", "binance.99.x"):
        assert sum(shard.owned(subject) is not None for shard in shards) == 1
    assert shards[0].owned("binance.x") == shards[0].owned("binance.99.x") == 0


def test_an_event_of_the_right_partition_is_not_refused():
    event = trade(symbol="BTCUSDT")
    number = partition(event.venue, "BTCUSDT", 16)
    assert of_shard(0, 1).refuse(event, f"binance.{number}.btcusdt@trade") is None


@pytest.mark.parametrize(
    ("subject", "came"),
    [
        ("binance.3.btcusdt@trade", "in partition 3"),
        ("binance.20.btcusdt@trade", "in partition 20"),
        ("binance.btcusdt@trade", "on binance.btcusdt@trade"),
    ],
)
def test_an_event_elsewhere_is_refused_and_told_where_it_belongs(subject: str, came: str):
    event = trade(symbol="BTCUSDT")
    refused = of_shard(0, 1).refuse(event, subject)
    right = partition(event.venue, "BTCUSDT", 16)
    assert refused is not None
    assert (refused.reason, refused.detail) == (
        "wrong_partition",
        f"spot BTCUSDT is of partition {right} of 16 (NATS_PARTITIONS), and came {came}",
    )


def test_what_a_pool_keyed_all_would_miss_is_refused_by_who_reads_it():
    event = trade(symbol="BTCUSDT", venue="kraken")
    number = partition("kraken", "BTCUSDT", 16)
    refused = of_shard(number % 4, 4, TRADES, BASKET).refuse(event, f"binance.{number}.x")
    assert refused is not None
    assert refused.reason == "wrong_partition"
    assert of_shard(number % 4, 4, TRADES, BASKET).refuse(event, f"market.{number}.kraken.trade.BTCUSDT") is None


def test_only_shard_0_of_several_hears_what_nobody_reads():
    assert [of_shard(number, 4).hears_strays for number in range(4)] == [True, False, False, False]
    assert not of_shard(0, 1).hears_strays
    assert of_shard(0, 4).beyond[:1] == ("binance.16.>",)
    assert of_shard(0, 4).beyond[-1] == "binance.1023.>"
    assert of_shard(0, 4).unpartitioned == ("binance.*", "binance.*.*.*")


@pytest.mark.parametrize(
    ("total", "pools", "says"),
    [
        (3, (TRADES,), "NATS_PARTITIONS 16 is no multiple of the 3 shards (INGEST_SHARD 0/3)"),
        (
            16,
            (TRADES,),
            "with NATS_PARTITIONS, the 8 partitions of pool trade must be a multiple of the 16 shards (INGEST_SHARD 0/16)",
        ),
        (
            2,
            (Pool("basket", ("trade",), key="all"),),
            (
                "with NATS_PARTITIONS and 2 shards, pool basket, keyed all, must name its symbols: shard 0 reads their "
                "partitions for it"
            ),
        ),
    ],
)
def test_what_would_part_a_symbol_from_its_lane_is_refused_in_a_line(total: int, pools: tuple[Pool, ...], says: str):
    with pytest.raises(SettingsError) as refused:
        of_shard(0, total, *pools)
    assert str(refused.value) == says
