"""What goes where when a ledger moves: where ingest looks for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.ledger_move.plan import MovePlan, server_name
from tasks.frames.symbols import token
from tasks.protocol.routing import Pool, Router, Shard

POOLS = (
    Pool("trade", ("trade",), partitions=12),
    Pool("basket", ("trade",), key="all", symbols=frozenset({"BTCUSDT", "BTC/USD"})),
)
SERVERS = tuple(f"redis://h{number}:1/0" for number in range(4))


def plan(old: int, *new: int) -> MovePlan:
    return MovePlan.of(SERVERS[:old], [SERVERS[number] for number in new], len(new), 12, POOLS)


@given(
    st.sampled_from(["spot", "usdm", "kraken"]),
    st.one_of(st.sampled_from(["BTCUSDT", "BTC/USD", "all"]), st.text(min_size=1, max_size=9)),
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from(["record:{}:{}:trade", "state:{}:{}:a:b", "paper:{}:{}:x"]),
)
def test_a_field_goes_to_the_ledger_of_the_shard_that_has_its_lane(venue: str, symbol: str, shards: int, field: str):
    made = plan(1, *range(shards))
    for pool in POOLS:
        if not pool.wants(symbol, "trade"):
            continue
        routers = [Router([pool], Shard(number, shards), 12) for number in range(shards)]
        [owner] = [router.shard.number for router in routers if router.lanes_of(venue, symbol, "trade")]
        assert made.homes(pool.name, field.format(venue, token(symbol))) == (made.new[owner],)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://user:hunter2@one", "one:6379/0"),
        ("rediss://:hunter2@one:7/3", "one:7/3"),
        ("unix://:hunter2@/run/redis.sock?db=2", "/run/redis.sock/2"),
        ("sentinel://:hunter2@one:1/4;sentinel://two:2", "one:1,two:2/4"),
    ],
)
def test_a_server_is_named_without_its_login(url: str, name: str):
    assert server_name(url) == name


def test_keys_stay_where_they_belong_and_none_where_a_ledger_leaves():
    made = plan(3, 0, 2)
    first, gone, second = "h0:1/0", "h1:1/0", "h2:1/0"
    assert (made.leaving, made.joining, made.merged) == ((gone,), (), (first, gone))
    keys = (
        "shard:0",
        "shard:1",
        "signals",
        "configuration",
        "configurations",
        "api:answers",
        "starts:trade-1",
        "lease:0",
    )
    kept = {server: [key for key in keys if made.keeps_key(server, key)] for server in (first, gone, second)}
    assert kept == {
        first: ["shard:0", "signals", "configuration", "configurations", "api:answers", "lease:0"],
        gone: [],
        second: ["shard:1", "signals", "configurations"],
    }


def test_a_lane_has_a_position_on_its_own_ledger_only():
    made = plan(1, 0, 1)
    assert made.keeps("h1:1/0", "trade", "lane:3", "js-x@1")
    assert not made.keeps("h0:1/0", "trade", "lane:3", "js-x@1")
    assert not made.keeps("h1:1/0", "trade", "lane:13", "js-x@1"), "there is no such lane"
    assert not made.keeps("h1:1/0", "trade", "lane:3", ""), "nobody begins anywhere"
    assert not made.keeps("h1:1/0", "trade", "frame:3", "js-x@1")


def test_a_delivery_keeps_its_position_in_each_ledger_that_stays():
    stands = "9-1 8-0 7-0", "90 80 70"
    assert plan(3, 0, 2, 3).delivery(*stands, ("11-0", 170)) == {"position": "11-0 7-0 0-0", "passed": "170 70 0"}
    assert plan(3, 0, 1, 2).delivery(*stands, None) == {"position": "9-1 8-0 7-0", "passed": "90 80 70"}
    assert plan(1, 0, 1).delivery("9-1", "90", None) == {"position": "9-1 0-0", "passed": "90 0"}
