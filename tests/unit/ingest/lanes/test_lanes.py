import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.lanes import LaneLimits, Lanes
from tasks.events import Depth, Position, Trade
from tasks.protocol.batches import unpack_event
from tasks.protocol.routing import LaneId, Pool, Router

POOLS = (Pool("trade", ("trade",), partitions=1), Pool("both", ("trade", "depth"), partitions=1))
TRADE, BOTH = LaneId("trade", 0), LaneId("both", 0)


@pytest.fixture
def lanes() -> Lanes:
    lanes = Lanes(Router(POOLS), LaneLimits(10**6, 10**6))
    lanes.begin("core-1.aa", {TRADE: None, BOTH: None}, 0.0)
    return lanes


def trade(lanes: Lanes, symbol: str = "BTCUSDT") -> Trade:
    seq = lanes.next_seq()
    return Trade("spot", symbol, 100 + seq, 1_000, seq, 0, 1.0, 1.0, buyer_is_maker=False)


def book(lanes: Lanes) -> Depth:
    seq = lanes.next_seq()
    return Depth("spot", "BTCUSDT", 100 + seq, 1_000, seq, 0, ((1.0, 1.0),), ((2.0, 1.0),))


def test_an_event_goes_to_every_pool_that_wants_it_under_one_number(lanes: Lanes):
    assert [lane.id for lane in lanes.offer(trade(lanes)).lanes] == [TRADE, BOTH]
    assert [lane.id for lane in lanes.offer(book(lanes)).lanes] == [BOTH]
    assert list(lanes[TRADE].waiting) == [1]
    assert list(lanes[BOTH].waiting) == [1, 2]


def send(lanes: Lanes, *names: LaneId) -> None:
    """Send a batch of all that waits in these lanes."""
    for name in names:
        lanes[name].launch()
        lanes[name].sent(0.0)


def test_the_frontier_is_just_below_the_oldest_event_that_is_not_committed(lanes: Lanes):
    assert lanes.frontier == 0
    lanes.next_seq()  # a frame that was skipped
    assert lanes.frontier == 1
    lanes.offer(trade(lanes))
    send(lanes, TRADE, BOTH)
    lanes.offer(book(lanes))
    assert lanes.frontier == 1
    lanes.settle(TRADE, Position("core-1.aa", 2), 0.1)
    assert lanes.frontier == 1, "the other pool still has it"
    lanes.settle(BOTH, Position("core-1.aa", 2), 0.1)
    assert lanes.frontier == 2
    send(lanes, BOTH)
    lanes.settle(BOTH, Position("core-1.aa", 3), 0.1)
    assert lanes.frontier == 3


def test_the_bound_of_all_lanes_holds_whatever_comes():
    lanes = Lanes(Router(POOLS), LaneLimits(10**6, 500))
    lanes.begin("core-1.aa", {TRADE: None, BOTH: None}, 0.0)
    dropped = 0
    for _ in range(100):
        dropped += len(lanes.offer(trade(lanes)).dropped)
        assert lanes.held_bytes <= 500 + 100, "one event above, where nothing of its lane could go"
    assert dropped + lanes.held == 200
    assert dropped > 150


def test_a_new_epoch_keeps_the_order_and_renumbers_all_lanes_alike(lanes: Lanes):
    for lane in (TRADE, BOTH):
        lanes.offer(trade(lanes))
        send(lanes, lane)
    for _ in range(2):
        lanes.offer(trade(lanes))
    lanes.begin("core-2.bb", {TRADE: Position("core-1.aa", 1), BOTH: Position("core-1.aa", 2)}, 1.0)
    assert list(lanes[TRADE].waiting) == [1, 2, 3]
    assert list(lanes[BOTH].waiting) == [2, 3]
    left = [unpack_event(item.packed) for item in lanes[TRADE].waiting.values()]
    assert [(event.seq, event.id) for event in left] == [(1, 102), (2, 103), (3, 104)]
    assert lanes.next_seq() == 4
    assert not lanes[TRADE].flight
    assert lanes[TRADE].prev == Position("core-1.aa", 1)


def test_after_a_rollback_of_the_ledger_all_that_is_still_held_is_resent(lanes: Lanes):
    lanes.offer(trade(lanes))
    send(lanes, TRADE)
    lanes.offer(trade(lanes))
    lanes.settle(TRADE, Position("core-1.aa", 1), 0.1)
    lanes.begin("core-2.bb", {TRADE: None, BOTH: None}, 1.0)
    assert list(lanes[TRADE].waiting) == [2]
    assert list(lanes[BOTH].waiting) == [1, 2]
    assert lanes[TRADE].prev is None


def test_a_new_epoch_believes_no_position_to_which_nothing_was_sent(lanes: Lanes):
    """A byte of it was damaged, and what it claims to be committed would be lost: it is sent again."""
    for _ in range(3):
        lanes.offer(trade(lanes))
    lanes.begin("core-2.bb", {TRADE: Position("core-1.aa", 3), BOTH: None}, 1.0)
    assert list(lanes[TRADE].waiting) == list(lanes[BOTH].waiting) == [1, 2, 3]
    assert lanes[TRADE].prev == Position("core-1.aa", 3), "as the fence compares it"


def small(*, lossless: bool) -> Lanes:
    """Return lanes whose bounds three trades in two pools are above."""
    lanes = Lanes(Router(POOLS), LaneLimits(lane_bytes=100, total_bytes=150), lossless=lossless)
    lanes.begin("core-1.aa", {TRADE: None, BOTH: None}, 0.0)
    return lanes


def test_lanes_of_a_stream_drop_nothing_and_name_who_holds_them_up():
    lanes = small(lossless=True)
    dropped = [lanes.offer(trade(lanes)).dropped for _ in range(10)]
    assert dropped == [[]] * 10
    assert lanes.held == 20
    assert lanes.full == [TRADE, BOTH]


def test_other_lanes_drop_what_is_above_the_bound():
    lanes = small(lossless=False)
    assert any(lanes.offer(trade(lanes)).dropped for _ in range(10))
    assert lanes.held_bytes <= 150


def test_only_above_the_bound_of_all_lanes_the_fullest_lane_is_named():
    lanes = Lanes(Router(POOLS), LaneLimits(lane_bytes=10**6, total_bytes=100), lossless=True)
    lanes.begin("core-1.aa", {TRADE: None, BOTH: None}, 0.0)
    assert lanes.full == []
    lanes.offer(book(lanes))
    lanes.offer(trade(lanes))
    assert lanes.full == [BOTH]


def test_after_a_restart_every_lane_stands_at_the_position_and_is_empty(lanes: Lanes):
    lanes.offer(trade(lanes))
    lanes[TRADE].launch()
    position = Position("js-FRAMES-1", 40)
    lanes.restart(position)
    assert (lanes.held, lanes.held_bytes, lanes.source, lanes.frontier) == (0, 0, position.source, 40)
    assert (lanes[TRADE].prev, lanes[BOTH].prev, lanes[TRADE].flight) == (position, position, [])
    assert lanes.next_seq(41) == 41
    assert lanes.next_seq(45) == lanes.last_seq == 45, "a stream may skip numbers"


def test_an_event_may_wait_for_as_long_as_the_bound_and_no_longer():
    lanes = Lanes(Router(POOLS), LaneLimits(10**6, 10**6, wait_s=2.0))
    lanes.begin("core-1.aa", {TRADE: None, BOTH: None}, 0.0)
    for received_ns in (0, 1, 10**9):
        lanes.offer(msgspec.structs.replace(trade(lanes), ingested_at_ns=received_ns))
    assert lanes.expire(lanes[TRADE], now_ns=2 * 10**9) == 0
    assert lanes.expire(lanes[TRADE], now_ns=2 * 10**9 + 1) == 1
    assert (list(lanes[TRADE].waiting), list(lanes[BOTH].waiting)) == ([2, 3], [1, 2, 3])
    assert lanes.held_bytes == sum(lane.held_bytes for lane in lanes)


@pytest.mark.parametrize(("wait_s", "lossless"), [(0.0, False), (2.0, True)])
def test_without_a_time_bound_or_with_a_stream_events_wait_without_limit(wait_s: float, *, lossless: bool):
    lanes = Lanes(Router(POOLS), LaneLimits(10**6, 10**6, wait_s), lossless=lossless)
    lanes.begin("core-1.aa", {TRADE: None, BOTH: None}, 0.0)
    lanes.offer(trade(lanes))
    assert lanes.expire(lanes[TRADE], now_ns=10**18) == 0
    assert lanes.held == 2


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.5, 20.0), st.integers(300, 5_000))
def test_no_batch_holds_an_event_that_waited_too_long(seed: int, wait_s: float, lane_bytes: int):
    """This holds whatever comes and however slow the workers are."""
    dice = random.Random(seed)
    lanes = Lanes(Router(POOLS), LaneLimits(lane_bytes, 10**6, wait_s))
    lanes.begin("core-1.aa", {TRADE: None, BOTH: None}, 0.0)
    now_ns = offered = dropped = 0
    done: dict[LaneId, list[int]] = {TRADE: [], BOTH: []}
    for _ in range(300):
        now_ns += dice.randrange(10**9)
        for _ in range(dice.choice((0, 1, 10))):
            event = msgspec.structs.replace(dice.choice((trade, book))(lanes), ingested_at_ns=now_ns)
            took = lanes.offer(event)
            offered, dropped = offered + len(took.lanes), dropped + len(took.dropped)
        lane = lanes[dice.choice((TRADE, BOTH))]
        if lane.flight:
            done[lane.id] += [
                item.seq for item in lanes.settle(lane.id, Position("core-1.aa", lane.flight[-1].seq), 0.0)
            ]
        dropped += lanes.expire(lane, now_ns)
        if lane.launch():
            lane.sent(0.0)
            assert now_ns - lane.flight[0].ingested_at_ns <= wait_s * 1e9
    # Then: every event was committed, was counted as dropped, or is still here; and none is out of order.
    assert offered == dropped + lanes.held + sum(map(len, done.values()))
    assert all(seqs == sorted(set(seqs)) for seqs in done.values())
    assert lanes.held_bytes == sum(item.size for each in lanes for item in (*each.flight, *each.waiting.values()))


def test_an_event_is_found_while_it_is_held_and_a_while_after():
    lanes = Lanes(Router(POOLS), LaneLimits(10**6, 10**6), committed_kept=2)
    lanes.begin("core-1.aa", {TRADE: None, BOTH: None}, 0.0)

    def found(*events: Trade | Depth) -> list[bool]:
        return [lanes.find(each.venue, each.symbol, each.kind, each.id) == each for each in events]

    first, second, third = events = book(lanes), trade(lanes), book(lanes)
    assert found(*events) == [False] * 3
    for event in events:
        lanes.offer(event)
    assert found(*events) == [True] * 3
    send(lanes, BOTH)
    assert found(*events) == [True] * 3
    lanes.settle(BOTH, Position("core-1.aa", 3), 0.1)
    assert found(second, third, first) == [True, True, False]
    assert lanes.find("usdm", "BTCUSDT", "depth", third.id) is None
