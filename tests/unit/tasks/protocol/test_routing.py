"""Which lanes an event goes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.frames.model import MAX_SYMBOLS
from tasks.protocol.routing import LaneId, Pool, Router, Shard, partition


# Pinned: another number would send a symbol's next event to another lane than its last one.
@pytest.mark.parametrize(
    ("venue", "symbol", "number"), [("spot", "BTCUSDT", 4), ("usdm", "BTCUSDT", 0), ("spot", "ETHUSDT", 3)]
)
def test_a_symbol_has_its_partition_for_ever(venue, symbol, number):
    assert partition(venue, symbol, 8) == number


@given(st.sampled_from(["spot", "usdm"]), st.text(max_size=40), st.integers(1, 1024))
def test_a_partition_is_one_of_the_pools(venue, symbol, partitions):
    assert 0 <= partition(venue, symbol, partitions) < partitions


def test_a_pool_by_symbol_has_a_lane_for_each_partition():
    assert Pool("depth", ("depth",), partitions=3).lanes == (LaneId("depth", 0), LaneId("depth", 1), LaneId("depth", 2))


def test_a_pool_by_all_has_one_lane_whatever_its_partitions():
    assert Pool("basket", ("trade",), key="all", partitions=8).lanes == (LaneId("basket", 0),)


def test_a_lane_reads_as_pool_and_number():
    assert str(LaneId("depth", 3)) == "depth-3"


@pytest.mark.parametrize(
    ("symbol", "kind", "wants"),
    [("BTCUSDT", "trade", True), ("BTCUSDT", "depth", False), ("ETHUSDT", "trade", False)],
)
def test_a_pool_wants_its_kinds_and_symbols(symbol, kind, wants):
    assert Pool("p", ("trade",), symbols=frozenset({"BTCUSDT"})).wants(symbol, kind) is wants


def test_a_pool_without_symbols_wants_all_of_them():
    assert Pool("p", ("trade", "depth")).wants("ANYTHING", "depth")


def test_an_event_goes_to_one_lane_of_each_pool_that_wants_it():
    """The lanes come in the order of the pools."""
    basket = Pool("basket", ("trade",), key="all", symbols=frozenset({"BTCUSDT"}))
    router = Router([Pool("trade", ("trade",), partitions=1), Pool("depth", ("depth",), partitions=2), basket])
    assert router.lanes == (LaneId("trade", 0), LaneId("depth", 0), LaneId("depth", 1), LaneId("basket", 0))
    assert router.lanes_of("spot", "BTCUSDT", "trade") == (LaneId("trade", 0), LaneId("basket", 0))
    assert router.lanes_of("spot", "ETHUSDT", "trade") == (LaneId("trade", 0),)
    assert router.lanes_of("spot", "ETHUSDT", "depth") == (LaneId("depth", partition("spot", "ETHUSDT", 2)),)
    assert Router([basket]).lanes_of("spot", "ETHUSDT", "depth") == ()


def test_the_second_look_at_a_symbol_gives_what_the_first_gave():
    router = Router([Pool("trade", ("trade",))])
    assert router.lanes_of("spot", "BTCUSDT", "trade") == router.lanes_of("spot", "BTCUSDT", "trade")
    assert router.lanes_of("spot", "BTCUSDT", "trade") == (LaneId("trade", partition("spot", "BTCUSDT", 8)),)


@given(st.integers(1, 8))
def test_shards_share_the_lanes_out_each_to_exactly_one(total: int):
    pools = (Pool("depth", ("depth",), partitions=5), Pool("basket", ("trade",), key="all"))
    routers = [Router(pools, Shard(number, total)) for number in range(total)]
    owned = [lane for router in routers for lane in router.lanes]
    assert sorted(owned) == sorted(Router(pools).lanes)
    assert LaneId("basket", 0) in routers[0].lanes
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        everywhere = [lane for router in routers for lane in router.lanes_of("spot", symbol, "depth")]
        assert everywhere == list(Router(pools).lanes_of("spot", symbol, "depth"))


def test_a_router_remembers_no_more_symbols_than_a_market_has():
    router = Router([Pool("all", ("depth", "trade"))])
    first = router.lanes_of("spot", "S0USDT", "trade")
    for number in range(MAX_SYMBOLS + 1):
        router.lanes_of("spot", f"S{number}USDT", "trade")
    assert len(router._known) <= MAX_SYMBOLS
    assert router.lanes_of("spot", "S0USDT", "trade") == first
